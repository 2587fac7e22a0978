"""Measures a month of yellow taxi's size beside the fewest statements that give the same tables.

CPU is of all Postgres processes, background writers included; that of dbt and the loader is shown beside it.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from benchmarks.cpu import postmaster
from benchmarks.measures import Measure, seconds, spread
from dev.console import console
from dev.services.postgres import EmbeddedPostgres
from dev.tlc.mirror import TlcMirror
from dev.tlc.sample_months import write_month, write_zones
from include.datasets import YELLOW
from tests.support.dbt.project import Project
from tests.support.helpers import fork
from tests.support.meanwhile import meanwhile

ROWS, RUNS, RERUNS = 3_500_000, 3, 3
MOST_ROWS = 14_000_000  # of a month of 2012
MOST_MEMORY = 300  # MiB
MONTHS, SMALL_MONTH = ("2024-01", "2024-02"), "2023-12"
FLOOR = (Path(__file__).parent / "yellow_floor.sql").read_text(encoding="utf-8")
SHARED_MEMORY = ("/dev/zero", "/dev/shm")  # noqa: S108
SCHEMAS = "select oid, nspname from pg_namespace where nspname like 'airflow_%'"


@dataclass(frozen=True)
class Cost:
    """What one action took: wall clock and CPU in seconds, WAL and the most memory of one process' own in MiB."""

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
    """Measures what actions cost the server, and the processes that this one starts."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.postmaster = postmaster(server)
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
    for month in MONTHS:
        write_month(folder, month, ROWS, dataset=YELLOW)
    found: dict[str, list[Cost]] = {
        name: [] for name in ("load", "copy", "build", "floor", "load again", "build again")
    }

    def note(name: str, action: Callable[[], object]) -> None:
        found[name].append(meter.cost(action))
        console.print(f"yellow: {name}: {found[name][-1]}")

    side_by_side = []
    with _warm_project(server, folder, scratch) as project:
        schema, [month, _] = project.schema, MONTHS
        for _ in range(RUNS):
            _forget(server)
            note("load", lambda: _load(project, month))
            note("build", lambda: project.publish(month))
            after_one = meter.disk()
            note("floor", lambda: server.psql(FLOOR))
            server.psql("drop schema floor cascade")
            if not csv.exists():
                server.psql(f"\\copy (select * from {schema}.raw_trips) to '{csv}' csv")
            server.psql("create schema copied", f"create table copied.trips (like {schema}.raw_trips)")
            note("copy", lambda: server.psql(f"\\copy copied.trips from '{csv}' csv"))
            server.psql("drop schema copied cascade")
        for _ in range(RERUNS):
            note("load again", lambda: _load(project, month))
            note("build again", lambda: project.publish(month))
        disk = meter.disk() / after_one
        for _ in range(RUNS):
            _forget(server)
            series = meter.cost(lambda: [project.run(month) for month in MONTHS])
            _forget(server)
            with ThreadPoolExecutor() as pool:
                both = meter.cost(lambda pool=pool: list(pool.map(project.run, MONTHS)))
            side_by_side.append(both.wall / series.wall)
            console.print(f"yellow: two months in series: {series}\nyellow: side by side: {both}")
    return _measures(found, disk, side_by_side)


def measure_yellow_2012(server: EmbeddedPostgres, scratch: Path) -> list[Measure]:
    """The memory alone, of one run; autovacuum is off, so that the planner knows no table's size but by its pages."""
    meter, folder, month = Meter(server), scratch / "yellow", MONTHS[0]
    write_month(folder, month, MOST_ROWS, dataset=YELLOW)
    meter.connection.execute("alter system set autovacuum = off")
    meter.connection.execute("select pg_reload_conf()")
    with _warm_project(server, folder, scratch) as project:
        costs = {"load": meter.cost(lambda: _load(project, month)), "build": meter.cost(lambda: project.publish(month))}
    return [
        Measure(
            "yellow14m_memory",
            f"yellow: the most memory of its own that a process held, {MOST_ROWS:,} rows, autovacuum off",
            [max(cost.memory for cost in costs.values())],
            unit="MiB",
            at_most=MOST_MEMORY,
            details={what: str(cost) for what, cost in costs.items()},
        )
    ]


@contextmanager
def _warm_project(server: EmbeddedPostgres, folder: Path, scratch: Path) -> Iterator[Project]:
    """Yellow's months of the folder, and a small one that has been run: dbt and Postgres have filled their caches."""
    write_zones(folder)
    write_month(folder, SMALL_MONTH, dataset=YELLOW)
    with TlcMirror(folder) as tlc:
        project = Project(server.dsn(), tlc, scratch / "target", YELLOW)
        project.run(SMALL_MONTH)
        yield project


def _measures(found: dict[str, list[Cost]], disk: float, side_by_side: list[float]) -> list[Measure]:
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

    def postgres_cpu(load: str, build: str) -> list[float]:
        return [one.postgres + other.postgres for one, other in zip(found[load], found[build], strict=True)]

    first, again = postgres_cpu("load", "build"), postgres_cpu("load again", "build again")
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
            [disk],
            at_most=1.5,
        ),
        Measure(
            "yellow_side_by_side",
            "yellow: two months side by side / in series, wall clock",
            side_by_side,
            at_most=1.0,
        ),
        Measure(
            "yellow_memory",
            "yellow: the most memory of its own that a process held",
            [max(cost.memory for costs in found.values() for cost in costs)],
            unit="MiB",
            at_most=MOST_MEMORY,
        ),
    ]


def _load(project: Project, month: str) -> None:
    """In a process of its own, whose memory is looked at as that of a task."""
    process = fork(project.load_file, month)
    process.join()
    assert process.exitcode == 0, f"the load of {month} failed"


def _forget(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        for _, schema in connection.execute(SCHEMAS).fetchall():
            connection.execute(f'drop schema "{schema}" cascade')


def _own_memory(process: psutil.Process) -> float:
    """MiB that the process shares with no other. Postgres' buffers are shared, though one alone may have read them."""
    try:
        maps = [each for each in process.memory_maps() if not each.path.startswith(SHARED_MEMORY)]
    except psutil.Error:
        return 0.0
    return sum(each.private_clean + each.private_dirty for each in maps) / 2**20


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
