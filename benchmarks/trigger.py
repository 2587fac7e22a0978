"""Times a month from its trigger to its publication on an idle stack, and says where the time goes."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

from benchmarks.measures import Measure, spread
from benchmarks.stack import WHOLE, load_and_pause_all_else, stack
from benchmarks.task_parts import tasks_before_each
from dev.console import console
from dev.runs.backfill import months_between
from dev.services.airflow_api import instant
from include.datasets import GREEN
from tests.support.stack.pipeline import Pipeline

MONTHS = months_between(GREEN, "2024-01", "2024-06")
PARTS = ("scheduler", "worker's start", "task")


def measure_trigger(state: Path) -> list[Measure]:
    """Months that were never loaded, one after the other. The first of them is left out: it fills caches."""
    took: list[float] = []
    parts: dict[str, list[float]] = {part: [] for part in PARTS}
    with stack(state, MONTHS, WHOLE) as pipeline:
        load_and_pause_all_else(pipeline, MONTHS[:1])
        for month in MONTHS[1:]:
            began = time.time()
            run_id = pipeline.trigger(month=str(month))
            assert pipeline.wait(run_id, every=3) == "success", pipeline.states(run_id)
            path = longest_way(pipeline, run_id)
            took.append(path[-1][-1] - began)
            moments = [began, *(moment for _, *rest in path for moment in rest)]
            spans = [after - before for before, after in pairwise(moments)]
            for index, part in enumerate(PARTS):
                parts[part].append(sum(spans[index :: len(PARTS)]))
            of_tasks = zip((name for name, *_ in path), moments[::3], moments[3::3], strict=False)
            told = ", ".join(f"{name} {end - ready:.2f}" for name, ready, end in of_tasks)
            console.print(f"trigger: {took[-1]:.1f} s, {len(path)} tasks one after the other: {told}")
    return [
        Measure(
            "trigger_s",
            f"a month of {WHOLE:,} rows on an idle stack, from its trigger to its publication",
            took[1:],
            "s",
            at_most=10,
            details={f"{part}, on the longest way": f"{spread(found[1:])} s" for part, found in parts.items()},
        )
    ]


def longest_way(pipeline: Pipeline, run_id: str) -> list[tuple[str, float, float, float]]:
    """The tasks that followed one another without a pause, to the last one: name, queued, started, ended.

    In seconds since 1970, UTC. Each is the one that the next had to wait for longest.
    """
    tasks, waits_for = pipeline.tasks(run_id), tasks_before_each(pipeline)

    def ended(name: str) -> float:
        return instant(tasks[name]["end_date"])

    way = [max(tasks, key=ended)]
    while before := waits_for[way[-1]]:
        way.append(max(before, key=ended))
    return [
        (name, instant(tasks[name]["queued_when"]), instant(tasks[name]["start_date"]), ended(name))
        for name in reversed(way)
        if tasks[name]["queued_when"]  # Airflow does not run tasks that do nothing
    ]
