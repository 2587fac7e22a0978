"""What the scheduler adds: the dbt part of months that are loaded, and a year from file to table."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from benchmarks.measures import Measure, seconds, spread
from dev.backfill import ENDED, Backfill, months_between
from dev.background_process import inherited_environment
from dev.choices import Choices
from dev.sample_months import write_month, write_zones
from dev.source import Source
from dev.stack import Stack
from include.month import Month
from include.settings import DAG_ID, DBT_PROFILES, DBT_PROJECT, ROOT

RUNS = 3
SMALL, WHOLE = 3_000, 60_000  # rows; a green-taxi month had 57,000 in 2024
THREE_MONTHS = months_between("2024-01", "2024-03")
YEAR = months_between("2023-01", "2023-12")
LESSON = Path(__file__).parent / "lesson"


@contextmanager
def stack(state: Path, months: list[Month], rows: int, dags: Path = ROOT / "dags") -> Iterator[Stack]:
    """A stack that starts from nothing, over generated months."""
    shutil.rmtree(state, ignore_errors=True)
    folder = state / "tlc"
    folder.mkdir(parents=True)
    write_zones(folder)
    for month in months:
        write_month(folder, str(month), rows)
    running = Stack(state, dags)
    try:
        running.up(Choices(Source("folder", str(folder))))
        yield running
    finally:
        running.down()
        shutil.rmtree(state)


def measure_transform(state: Path) -> list[Measure]:
    with stack(state, THREE_MONTHS, SMALL) as running:
        backfill = Backfill(running.api, running.environment(), THREE_MONTHS)
        backfill.create(parallel=len(THREE_MONTHS))
        assert backfill.follow().failed == []
        runs = {month: run["dag_run_id"] for month, run in backfill.runs().items()}
        found: dict[str, list[float]] = {"three": [], "one": [], "dbt of three": [], "dbt of one": []}
        for _ in range(RUNS + 1):  # the first round fills the caches of both
            found["three"].append(seconds(lambda: _build_and_publish(running, list(runs.values()))))
            plain = [seconds(lambda month=month: _plain_dbt(running, month)) for month in THREE_MONTHS]
            found["dbt of three"].append(sum(plain))
            found["dbt of one"].append(plain[0])
            found["one"].append(seconds(lambda: _build_and_publish(running, [runs[THREE_MONTHS[0]]])))
    found = {name: values[1:] for name, values in found.items()}
    details = {name: f"{spread(values)} s" for name, values in found.items()}
    return [
        Measure(
            "transform3_vs_dbt",
            "dbt part of three months side by side / three plain `dbt build` in series",
            [ours / plain for ours, plain in zip(found["three"], found["dbt of three"], strict=True)],
            at_most=1.5,
            details=details,
        ),
        Measure(
            "transform1_vs_dbt",
            "dbt part of one month / one plain `dbt build`",
            [ours / plain for ours, plain in zip(found["one"], found["dbt of one"], strict=True)],
            at_most=3,
        ),
    ]


def measure_backfill(state: Path) -> list[Measure]:
    took = {}
    for name, dags, parallel in (("ours", ROOT / "dags", 4), ("lesson", LESSON, 1)):
        with stack(state, YEAR, WHOLE, dags) as running:
            backfill = Backfill(running.api, running.environment(), YEAR)

            def run(backfill: Backfill = backfill, parallel: int = parallel) -> None:
                backfill.create(parallel)
                assert backfill.follow().failed == []

            took[name] = seconds(run)
    return [
        Measure(
            "backfill12_speedup",
            f"12 months of {WHOLE:,} rows, the lesson's recipe / ours, each into an empty database",
            [took["lesson"] / took["ours"]],
            at_least=4,
            details={name: f"{value:.0f} s, once" for name, value in took.items()},
        )
    ]


def _build_and_publish(running: Stack, runs: list[str]) -> None:
    """Clears all dbt tasks of the runs, and waits until they have run again."""
    for run in runs:
        path = f"/dags/{DAG_ID}/dagRuns/{quote(run, safe='')}/taskInstances"
        names = [task["task_id"] for task in running.api.pages(path, "task_instances")]
        body = {"dag_run_id": run, "task_ids": [name for name in names if "." in name], "only_failed": False}
        running.api.call("POST", f"/dags/{DAG_ID}/clearTaskInstances", json=body | {"dry_run": False})
    while any(_state(running, run) not in ENDED for run in runs):
        time.sleep(0.25)
    assert {_state(running, run) for run in runs} == {"success"}


def _state(running: Stack, run: str) -> str:
    return running.api.call("GET", f"/dags/{DAG_ID}/dagRuns/{quote(run, safe='')}")["state"]


def _plain_dbt(running: Stack, month: Month) -> None:
    words = ["build", "--exclude-resource-type", "unit_test", "--vars", f"{{ds: {month.ds}}}"]
    places = ["--project-dir", DBT_PROJECT, "--profiles-dir", DBT_PROFILES.parent]
    places += ["--target-path", running.state / f"dbt-{month}", "--log-path", running.state / "dbt-logs"]
    subprocess.run(
        [Path(sys.executable).with_name("dbt"), *words, *map(str, places)],
        env=inherited_environment() | running.warehouse.dbt_environment() | {"PG_SCHEMA": running.published_schema},
        stdout=subprocess.DEVNULL,
        check=True,
    )
