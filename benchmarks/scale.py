"""Measures the CPU of each part of the stack with 3, 12 and 48 months side by side, and of a task by two executors.

Files are small, so that the tasks' own work is as little as it can be, and what Airflow adds shows. `EXECUTOR=celery
[WORKERS=2]` takes Celery's; `SIDE_BY_SIDE="3 12"` measures these numbers of months alone. The warehouse is a Postgres
server of its own, beside that of Airflow's metadata. All DAGs but the pipeline's are paused: no reports are written.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from dataclasses import asdict
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

from benchmarks.cpu import TASKS, CpuMeter, Usage
from benchmarks.measures import Measure, spread
from benchmarks.stack import THREE_MONTHS, build_and_publish, load_and_pause_all_else, stack
from dev.console import console
from dev.runs.backfill import ENDED, Backfill
from dev.services.airflow_api import instant
from dev.services.postgres import EmbeddedPostgres
from dev.services.warehouse_address import WarehouseAddress
from dev.stack.choices import Choices
from include.datasets import GREEN
from include.month import Month
from tests.support.stack.pipeline import Pipeline

ROWS, ROUNDS = 400, 2
SIDE_BY_SIDE = "3 12 48"
FIRST = Month.parse("2019-01")
POLL_SECONDS = 2
SECONDS_A_MONTH = 120  # a backfill that takes longer fails


def measure_scale(state: Path, warehouse: EmbeddedPostgres) -> list[Measure]:
    """For each number, a backfill of so many months that were not loaded before, all of them allowed to run at once.

    One month is loaded first, which fills the caches. The CPU of this process, which serves the files and asks for the
    runs' states, is shown by itself.
    """
    executor = os.environ.get("EXECUTOR", "local")
    numbers = [int(number) for number in os.environ.get("SIDE_BY_SIDE", SIDE_BY_SIDE).split()]
    months = FIRST.through(FIRST.plus(sum(numbers)))
    measures, raw = [], {}
    with stack(state, months, ROWS, **_choices(executor, warehouse)) as pipeline:
        load_and_pause_all_else(pipeline, months[:1])
        del months[:1]
        meter = CpuMeter(pipeline.stack, warehouse)
        for number in numbers:
            some, months = months[:number], months[number:]
            pipeline.wait_for_backfills_to_close()
            usage = meter.usage(partial(_backfill, pipeline, some))
            runs, tasks = _runs(pipeline, some), _tasks(pipeline, some)
            measures.append(_scale(executor, number, usage, runs, tasks))
            console.print(measures[-1].what, *map(": ".join, measures[-1].details.items()), sep="\n", markup=False)
            raw[number] = asdict(usage) | {"runs": runs, "tasks": tasks}
            (state.parent / f"scale-{executor}.json").write_text(json.dumps(raw, indent=2) + "\n")
    return measures


def measure_executors(state: Path, warehouse: EmbeddedPostgres) -> list[Measure]:
    """The dbt tasks of three months, cleared and run again, by each executor in turn.

    The stack is restarted for each, and one month's tasks run before those that count.
    """
    raw: dict[str, list[dict]] = {"local": [], "celery": []}
    with stack(state, THREE_MONTHS, ROWS, **_choices("local", warehouse)) as pipeline:
        load_and_pause_all_else(pipeline, THREE_MONTHS)
        runs = [pipeline.run_of(str(month)) for month in THREE_MONTHS]
        source = pipeline.stack.choices.source
        for _ in range(ROUNDS):
            for executor, rounds in raw.items():
                pipeline.stack.up(Choices(source, **_choices(executor, warehouse)))
                build_and_publish(pipeline, runs[:1])
                before = _tries(_tasks(pipeline, THREE_MONTHS))
                usage = CpuMeter(pipeline.stack, warehouse).usage(partial(build_and_publish, pipeline, runs))
                tries = _tries(_tasks(pipeline, THREE_MONTHS)) - before
                rounds.append(asdict(usage) | {"tries": tries})
                (state.parent / "executors.json").write_text(json.dumps(raw, indent=2) + "\n")
                console.print(
                    f"{executor}, {tries} tasks", *map(": ".join, _parts(usage, tries).items()), sep="\n", markup=False
                )
    a_task = {name: [each["parts"][TASKS] / each["tries"] for each in rounds] for name, rounds in raw.items()}
    return [
        Measure(
            "celery_vs_local",
            "CPU of a warm dbt task and its worker: a child of Celery's pool / LocalExecutor's worker",
            [celery / local for celery, local in zip(a_task["celery"], a_task["local"], strict=True)],
            details={executor: f"CPU {spread(seconds)} s a task" for executor, seconds in a_task.items()},
        )
    ]


def _choices(executor: str, warehouse: EmbeddedPostgres) -> dict[str, Any]:
    address, workers = WarehouseAddress.from_dsn(warehouse.dsn()), int(os.environ.get("WORKERS", "2"))
    return {"executor": executor, "workers": workers, "warehouse": address}


def _backfill(pipeline: Pipeline, months: list[Month]) -> None:
    """Returns when all its runs have succeeded. Asks once in POLL_SECONDS for one number, to leave the server alone."""
    api, asked = pipeline.stack.api, _range(months) | {"limit": 1}
    deadline = time.monotonic() + SECONDS_A_MONTH * len(months)
    Backfill(api, GREEN, months).create(parallel=len(months))
    while api.call("GET", pipeline.paths.runs, params=asked | {"state": ENDED})["total_entries"] < len(months):
        assert time.monotonic() < deadline, f"the backfill of {months[0]} to {months[-1]} does not end"
        time.sleep(POLL_SECONDS)
    assert {run["state"] for run in _runs(pipeline, months)} == {"success"}


def _scale(executor: str, number: int, usage: Usage, runs: list[dict], tasks: list[dict]) -> Measure:
    ran, tries = [task for task in tasks if task["queued_when"]], _tries(tasks)
    ended = max(instant(run["end_date"]) for run in runs) - min(instant(run["start_date"]) for run in runs)
    wait = {
        f"from {state} to started, median and longest": f"{statistics.median(seconds):.2f} and {max(seconds):.2f} s"
        for state in ("scheduled", "queued")
        if (seconds := [instant(task["start_date"]) - instant(task[f"{state}_when"]) for task in ran])
    }
    return Measure(
        f"scale{number}_{executor}",
        f"{number} months side by side, {executor} executor: CPU of the whole stack for each try of a task",
        [usage.total / tries],
        "s",
        details={
            "the backfill": f"{usage.wall:.0f} s, {ended:.0f} of them from the first run's start to the last one's end",
            "tries of tasks": str(tries),
            "at once, at the most": f"{_at_once(runs)} runs, {_at_once(ran)} tasks",
        }
        | wait
        | _parts(usage, tries),
    )


def _parts(usage: Usage, tries: int) -> dict[str, str]:
    def text(cpu: float) -> str:
        return f"CPU {cpu:.1f} s, {cpu / usage.wall:.2f} of a core, {cpu / tries:.3f} s for each try"

    rest = usage.machine - usage.total - usage.besides
    return {part: text(cpu) for part, cpu in sorted(usage.parts.items())} | {
        "all parts": text(usage.total),
        "this benchmark": text(usage.besides),
        "all else on this machine": text(rest),
    }


def _at_once(intervals: list[dict]) -> int:
    """The most runs, or tasks, that were running at one time, by Airflow's record of when they started and ended."""
    starts = [(instant(each["start_date"]), 1) for each in intervals]
    changes = sorted(starts + [(instant(each["end_date"]), -1) for each in intervals])  # at the same time: ends first
    return max(accumulate(change for _, change in changes))


def _tries(tasks: list[dict]) -> int:
    return sum(task["try_number"] for task in tasks if task["queued_when"])  # Airflow ends empty tasks without a try


def _runs(pipeline: Pipeline, months: list[Month]) -> list[dict]:
    return list(pipeline.stack.api.pages(pipeline.paths.runs, "dag_runs", **_range(months)))


def _tasks(pipeline: Pipeline, months: list[Month]) -> list[dict]:
    return list(pipeline.stack.api.pages(pipeline.paths.tasks, "task_instances", **_range(months)))


def _range(months: list[Month]) -> dict[str, str]:
    return {"logical_date_gte": months[0].start.isoformat(), "logical_date_lte": months[-1].start.isoformat()}
