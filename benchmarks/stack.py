"""Measures what Airflow adds to the dbt tasks of loaded months, and times a whole year beside the lesson's recipe."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.cpu import POSTGRES, CpuMeter, Usage
from benchmarks.measures import Measure, spread
from benchmarks.memory import memory
from benchmarks.task_parts import parts_of_tasks
from dev.console import console
from dev.runs.backfill import Backfill, months_between
from dev.services.airflow_api import instant
from dev.stack.stack import Stack
from dev.tlc.sample_months import write_month, write_zones
from include.datasets import GREEN
from include.month import Month
from include.settings import ROOT
from tests.support.stack.pipeline import Pipeline, running_pipeline

RUNS = 3
SMALL, WHOLE = 3_000, 60_000  # rows; a green-taxi month had 57,000 in 2024
THREE_MONTHS = months_between(GREEN, "2024-01", "2024-03")
YEAR = months_between(GREEN, "2023-01", "2023-12")
LESSON = Path(__file__).parent / "lesson"
THREE, ONE = "three months, in Airflow", "one month, in Airflow"
DBT_THREE, DBT_ONE = "three months, plain dbt", "one month, plain dbt"


@contextmanager
def stack(
    state: Path, months: list[Month], rows: int, dags: Path = ROOT / "dags", **choices: Any
) -> Iterator[Pipeline]:
    """A stack that starts from nothing, over generated months. `choices`: of dev.stack.choices, all but the source."""
    shutil.rmtree(state, ignore_errors=True)
    folder = state / "tlc"
    folder.mkdir(parents=True)
    write_zones(folder)
    for month in months:
        write_month(folder, str(month), rows)
    try:
        with running_pipeline(Stack(state, dags), folder, **choices) as pipeline:
            yield pipeline
    finally:
        shutil.rmtree(state)


def load_and_pause_all_else(pipeline: Pipeline, months: list[Month]) -> None:
    """Loads the months, waits for their reports, which say that all DAGs are there, and pauses all DAGs but one."""
    pipeline.backfill(*map(str, months))
    for month in months:
        pipeline.wait_for_report(str(month))
    pause_all_else(pipeline)


def pause_all_else(pipeline: Pipeline) -> None:
    """Otherwise each publication starts a report, which takes as much CPU as some of the tasks that are measured."""
    for dag in pipeline.stack.api.pages("/dags", "dags"):
        if dag["dag_id"] != pipeline.dataset.dag_id:
            pipeline.stack.api.call("PATCH", f"/dags/{dag['dag_id']}", json={"is_paused": True})


def measure_transform(state: Path) -> list[Measure]:
    """Wall clock of ours is from clearing the tasks to the end of the last run, by Airflow's record.

    CPU is of all processes of the stack; of plain dbt that of its own process and of Postgres.
    """
    with stack(state, THREE_MONTHS, SMALL) as pipeline:
        load_and_pause_all_else(pipeline, THREE_MONTHS)
        runs = [pipeline.run_of(str(month)) for month in THREE_MONTHS]
        meter = CpuMeter(pipeline.stack)
        wall: dict[str, list[float]] = {name: [] for name in (THREE, ONE, DBT_THREE, DBT_ONE)}
        cpu: dict[str, list[float]] = {name: [] for name in wall}

        def ours(name: str, some: list[str]) -> None:
            usage = meter.usage(lambda: wall[name].append(build_and_publish(pipeline, some)))
            cpu[name].append(usage.total)

        def plain(name: str, months: list[Month]) -> None:
            usage = meter.usage(lambda: [_plain_dbt(pipeline, month) for month in months])
            wall[name].append(usage.wall)
            cpu[name].append(usage.besides + usage.parts[POSTGRES])

        for _ in range(RUNS + 1):  # the first round fills the caches of both
            ours(THREE, runs)
            plain(DBT_THREE, THREE_MONTHS)
            ours(ONE, runs[:1])
            plain(DBT_ONE, THREE_MONTHS[:1])
            took = (f"{name} {wall[name][-1]:.0f} s, CPU {cpu[name][-1]:.0f} s" for name in wall)
            console.print(f"transform: {'; '.join(took)}")
        with meter.of_tasks() as of_tasks:
            build_and_publish(pipeline, runs[:1])
        parts = parts_of_tasks(pipeline, runs[0])
        with memory(pipeline.scheduler_pid) as megabytes:
            build_and_publish(pipeline, runs)
    wall, cpu = ({name: values[1:] for name, values in found.items()} for found in (wall, cpu))

    def ratios(found: dict[str, list[float]], mine: str, plain: str) -> list[float]:
        return [ours / theirs for ours, theirs in zip(found[mine], found[plain], strict=True)]

    return [
        Measure(
            "transform3_vs_dbt",
            "dbt part of three months side by side / three plain `dbt build` in series",
            ratios(wall, THREE, DBT_THREE),
            at_most=1.4,
            details={name: f"{spread(wall[name])} s; CPU {spread(cpu[name])} s" for name in wall},
        ),
        Measure("transform3_cpu_vs_dbt", "CPU of the same, of all processes", ratios(cpu, THREE, DBT_THREE)),
        Measure(
            "transform1_vs_dbt",
            "dbt part of one month / one plain `dbt build`",
            ratios(wall, ONE, DBT_ONE),
            at_most=1.8,
            details={f"a task's {name}": f"{took:.2f} s" for name, took in parts.items()}
            | {"CPU of a task's own process": f"{spread(of_tasks)} s"}
            | {f"memory of {what}, at the peak": f"{most:.0f} MiB" for what, most in megabytes.items()},
        ),
    ]


def measure_backfill(state: Path) -> list[Measure]:
    """Until the last month is published. Ours includes the reports that are written meanwhile."""
    found: dict[str, Usage] = {}
    for name, dags, parallel in (("ours", ROOT / "dags", 4), ("lesson", LESSON, 1)):
        with stack(state, YEAR, WHOLE, dags) as pipeline:
            backfill = Backfill(pipeline.stack.api, GREEN, YEAR)

            def run(backfill: Backfill = backfill, parallel: int = parallel) -> None:
                backfill.create(parallel)
                assert backfill.follow().failed == []

            found[name] = CpuMeter(pipeline.stack).usage(run)
    parts = {f"{name}, {part}": f"CPU {used:.0f} s" for name in found for part, used in found[name].parts.items()}
    return [
        Measure(
            "backfill12_speedup",
            f"12 months of {WHOLE:,} rows, the lesson's recipe / ours, each into an empty database",
            [found["lesson"].wall / found["ours"].wall],
            at_least=4.5,
            details={name: f"{usage.wall:.0f} s, CPU {usage.total:.0f} s, once" for name, usage in found.items()}
            | parts,
        )
    ]


def build_and_publish(pipeline: Pipeline, runs: list[str]) -> float:
    """Seconds from clearing all dbt tasks of the runs until the last run has ended, as Airflow says.

    The state of the runs is read every 3 s only: twice a second took a fifth of the api-server's CPU.
    """
    tasks = {run: [name for name in pipeline.tasks(run) if "." in name] for run in runs}
    began = time.time()
    for run in runs:
        pipeline.clear(run, *tasks[run])
    for run in runs:
        assert pipeline.wait(run, every=3) == "success", pipeline.states(run)
    return max(instant(pipeline.dag_run(run)["end_date"]) for run in runs) - began


def _plain_dbt(pipeline: Pipeline, month: Month) -> None:
    state = pipeline.stack.state
    places = ["--target-path", str(state / f"dbt-{month}"), "--log-path", str(state / "dbt-logs")]
    words = ["build", "--exclude-resource-type", "unit_test", "--vars", f"{{ds: {month.ds}}}", *places]
    done = pipeline.stack.run_dbt(GREEN, *words, capture=True)
    assert done.returncode == 0, done.stdout
