"""A month of yellow taxi's size, beside the fewest statements that give the same tables.

CPU is that of all Postgres processes, its background writers included; what dbt and the loader take is told beside it.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from benchmarks.measures import Measure, seconds, spread
from dev.console import console
from dev.postgres import EmbeddedPostgres
from dev.sample_months import write_month, write_zones
from dev.tlc_mirror import TlcMirror
from include.datasets import YELLOW
from tests.support.meanwhile import meanwhile
from tests.support.project import Project

ROWS, RUNS, RERUNS = 3_500_000, 3, 3
MONTHS, SMALL_MONTH = ("2024-01", "2024-02"), "2023-12"
FLOOR = (Path(__file__).parent / "yellow_floor.sql").read_text()
SCHEMAS = "select oid, nspname from pg_namespace where nspname like 'airflow_%'"


@dataclass(frozen=True)
class Cost:
    """Of one action: wall clock and CPU in seconds, WAL and the peak of one process' own memory in MiB."""

    wall: float
    postgres: float
    clients: float
    wal: float
    memory: float

    def __str__(self) -> str:
        return (
            f"{self.wall:.1f} s, CPU of Postgres {self.postgres:.1f} s and of its clients {self.clients:.1f} s, "
            f"WAL {self.wal:.0f} MiB, at most {self.memory:.0f} MiB in a process"
        )


class Meter:
    """What actions cost the server and the processes of this one."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.postmaster = psutil.Process(int((server.home / "data" / "postmaster.pid").read_text().split()[0]))
        self.connection = psycopg.connect(server.dsn("warehouse", "postgres"), autocommit=True)

    def cost(self, action: Callable[[], object]) -> Cost:
        before, clients, wal = self._cpu(), _clients_cpu(), self._wal()
        most = {"memory": 0.0}

        def look() -> None:
            most["memory"] = max([most["memory"], *map(_own_memory, self._processes())])

        with meanwhile(look, every=0.5):
            wall = seconds(action)
        time.sleep(1)  # backends end after their clients, and are counted with the postmaster's children then
        return Cost(wall, self._cpu() - before, _clients_cpu() - clients, self._wal() - wal, most["memory"])

    def disk(self) -> float:
        """MiB of the warehouse's schemas."""
        size = "select sum(pg_total_relation_size(pg_class.oid)) from pg_class"
        return (
            float(self._one(f"{size} join ({SCHEMAS}) as ours on ours.oid = relnamespace where relkind = 'r'")) / 2**20
        )

    def _processes(self) -> list[psutil.Process]:
        return [*self.postmaster.children(), *psutil.Process().children(recursive=True)]

    def _cpu(self) -> float:
        ended = self.postmaster.cpu_times()
        return ended.children_user + ended.children_system + sum(map(_cpu, self.postmaster.children()))

    def _wal(self) -> float:
        return float(self._one("select wal_bytes from pg_stat_wal")) / 2**20

    def _one(self, query: str) -> float:
        row = self.connection.execute(query).fetchone()
        assert row is not None
        return row[0]


def measure_yellow(server: EmbeddedPostgres, scratch: Path) -> list[Measure]:
    meter, folder, csv = Meter(server), scratch / "yellow", scratch / "rows.csv"
    write_zones(folder)
    for month in MONTHS:
        write_month(folder, month, ROWS, dataset=YELLOW)
    write_month(folder, SMALL_MONTH, dataset=YELLOW)
    found: dict[str, list[Cost]] = {
        name: [] for name in ("load", "copy", "build", "floor", "load again", "build again")
    }
    ratios: dict[str, list[float]] = {"disk": [], "side by side": []}
    with TlcMirror(folder) as tlc:
        project = Project(server.dsn(), tlc, scratch / "target", YELLOW)
        _run(project, SMALL_MONTH)  # fills the caches
        for _ in range(RUNS):
            _forget(server)
            found["load"].append(meter.cost(lambda: project.load_file(MONTHS[0])))
            found["build"].append(meter.cost(lambda: _build(project, MONTHS[0])))
            after_one = meter.disk()
            found["floor"].append(meter.cost(lambda: server.psql(FLOOR)))
            server.psql("drop schema floor cascade")
            if not csv.exists():
                server.psql(f"\\copy (select * from {project.schema}.raw_trips) to '{csv}' csv")
            server.psql("create schema copied", f"create table copied.trips (like {project.schema}.raw_trips)")
            found["copy"].append(meter.cost(lambda: server.psql(f"\\copy copied.trips from '{csv}' csv")))
            server.psql("drop schema copied cascade")
            for _ in range(RERUNS):
                found["load again"].append(meter.cost(lambda: project.load_file(MONTHS[0])))
                found["build again"].append(meter.cost(lambda: _build(project, MONTHS[0])))
            ratios["disk"].append(meter.disk() / after_one)
            for name, costs in found.items():
                console.print(f"yellow: {name}: {costs[-1]}")
        for _ in range(RUNS):
            _forget(server)
            series = meter.cost(lambda: [_run(project, month) for month in MONTHS])
            _forget(server)
            with ThreadPoolExecutor() as pool:
                both = meter.cost(lambda pool=pool: list(pool.map(lambda month: _run(project, month), MONTHS)))
            ratios["side by side"].append(both.wall / series.wall)
            console.print(f"yellow: two months in series: {series}\nyellow: side by side: {both}")
    return _measures(found, ratios)


def _measures(found: dict[str, list[Cost]], ratios: dict[str, list[float]]) -> list[Measure]:
    def over(ours: str, other: str, what: str) -> list[float]:
        return [getattr(a, what) / getattr(b, what) for a, b in zip(found[ours], found[other], strict=True)]

    def details(*names: str) -> dict[str, str]:
        return {
            f"{name}, {what}": spread([getattr(cost, field) for cost in found[name]]) + unit
            for name in names
            for what, field, unit in (
                ("wall", "wall", " s"),
                ("CPU of Postgres", "postgres", " s"),
                ("CPU of its clients", "clients", " s"),
                ("WAL", "wal", " MiB"),
            )
        }

    first = [load.postgres + build.postgres for load, build in zip(found["load"], found["build"], strict=True)]
    again = [
        load.postgres + build.postgres for load, build in zip(found["load again"], found["build again"], strict=True)
    ]
    size = f"{ROWS:,} rows"
    return [
        Measure(
            "yellow_load_vs_copy",
            f"yellow: `load_month` / psql `\\copy`, {size}",
            over("load", "copy", "wall"),
            at_most=1.0,
            details=details("load", "copy"),
        ),
        Measure(
            "yellow_cpu_vs_floor",
            "yellow: CPU of Postgres, build + audits + publish / the fewest statements",
            over("build", "floor", "postgres"),
            at_most=2.2,
            details=details("build", "floor"),
        ),
        Measure("yellow_wal_vs_floor", "yellow: WAL of the same", over("build", "floor", "wal"), at_most=2.5),
        Measure(
            "yellow_again_vs_first",
            "yellow: CPU of Postgres, the same month again / the first time",
            [each / statistics.median(first) for each in again],
            at_most=1.3,
            details=details("load again", "build again"),
        ),
        Measure(
            "yellow_disk_again",
            f"yellow: on disk after {RERUNS} times again / after the first",
            ratios["disk"],
            at_most=1.5,
        ),
        Measure(
            "yellow_side_by_side",
            "yellow: two months side by side / in series, wall clock",
            ratios["side by side"],
            at_most=1.0,
        ),
        Measure(
            "yellow_memory",
            "yellow: the most memory of its own that a process held",
            [cost.memory for costs in found.values() for cost in costs],
            unit="MiB",
            at_most=300,
        ),
    ]


def _run(project: Project, month: str) -> None:
    project.load_file(month)
    _build(project, month)


def _build(project: Project, month: str) -> None:
    done = project.build(month)
    assert done.returncode == 0, done.output


def _forget(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        for _, schema in connection.execute(SCHEMAS).fetchall():
            connection.execute(f'drop schema "{schema}" cascade')


def _own_memory(process: psutil.Process) -> float:
    """MiB that the process shares with no other."""
    try:
        return process.memory_full_info().uss / 2**20
    except psutil.Error:
        return 0.0


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
        return times.user + times.system
    except psutil.Error:
        return 0.0


def _clients_cpu() -> float:
    """Seconds of this process and of its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
