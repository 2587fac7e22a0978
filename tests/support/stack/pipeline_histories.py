"""Random histories on the whole stack: files put up, months run, tasks cleared and killed, all of it at once."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from pathlib import Path

import psutil

from tests.support.postgres.warehouse_content import content
from tests.support.stack.pipeline import Pipeline

MONTHS = ("2022-05", "2022-06")
EVENTS = 8


def tell_a_history(pipeline: Pipeline, scratch: Path, draw: random.Random) -> None:
    """`draw` decides what happens, and after how long; the rest depends on how fast the processes are."""
    for month in MONTHS:
        pipeline.publish_file(month, version=draw.randint(1, 9))
    runs = [pipeline.trigger(month=month) for month in MONTHS]
    told = []
    for event in draw.choices([restate, run, clear, kill], weights=[3, 1, 3, 3], k=EVENTS):
        time.sleep(draw.uniform(0, 5))
        told.append(event(pipeline, runs, draw))
    print(*told, sep="\n")
    for each in runs:
        assert pipeline.wait(each) == "success", pipeline.states(each)
    # the newest file may not have been loaded by any run yet
    for each in [pipeline.trigger(month=month) for month in MONTHS]:
        assert pipeline.wait(each) == "success", pipeline.states(each)
    for month in MONTHS:
        assert content(pipeline.dsn, month=month) == pipeline.content_of_a_clean_load(month, scratch)


def restate(pipeline: Pipeline, runs: list[str], draw: random.Random) -> str:
    month, version = draw.choice(MONTHS), draw.randint(1, 9)
    pipeline.publish_file(month, version)
    return f"TLC puts up version {version} of {month}"


def run(pipeline: Pipeline, runs: list[str], draw: random.Random) -> str:
    month = draw.choice(MONTHS)
    runs.append(pipeline.trigger(month=month))
    return f"{month} is run"


def clear(pipeline: Pipeline, runs: list[str], draw: random.Random) -> str:
    cleared = draw.choice(runs)
    ended = sorted(task for task, state in pipeline.states(cleared).items() if state == "success")
    if not ended:
        return f"no task of {cleared} has ended yet"
    task = draw.choice(ended)
    pipeline.clear(cleared, task)
    return f"{task} of {cleared} is cleared"


def kill(pipeline: Pipeline, runs: list[str], draw: random.Random) -> str:
    tasks = pipeline.task_processes()
    if not tasks:
        return "nothing runs that could be killed"
    victim = draw.choice(tasks)
    with suppress(psutil.NoSuchProcess):
        victim.kill()
    return f"the task in process {victim.pid} is killed"
