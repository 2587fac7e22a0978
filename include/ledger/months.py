"""Judges the state of a month by its tasks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

WAIT = "wait_for_month"
ACTIVE_RUN = {"queued", "running"}
FAILED = "failed"


@dataclass(frozen=True)
class TaskOfMonth:
    """The latest try of one task in one run of the month.

    `since`: when the try began, else when it was queued; None: not yet. `reason`: why it failed, if that was kept.
    `run_began`, `run_ended`: of the run since its latest clear; None: not yet.
    """

    run_id: str
    run_state: str
    task_id: str
    state: str | None
    since: datetime | None
    reason: str | None = None
    run_began: datetime | None = None
    run_ended: datetime | None = None


@dataclass(frozen=True)
class Judged:
    """`state` is one of `published restated failed waiting running never`; `task` the one that failed, if one did."""

    state: str
    run_id: str | None = None
    task: TaskOfMonth | None = None


def judge(
    tasks: Iterable[TaskOfMonth], is_published: bool | None, is_due: bool = True, is_restated: bool = False
) -> Judged:
    """The state of a month, from the tasks of all its runs, and from whether the published tables have it.

    `is_published`: None where no table says so; then the last run decides. `is_due`: whether its file may be there.
    `is_restated`: whether the source has another file than the one that is loaded; a published month is then restated.

    The latest attempt at a task decides; one that has not begun counts as the latest. So a model that failed makes its
    month failed, although Airflow judges the run by its last tasks and shows it green. A task that failed in one run
    does not count any more once it has succeeded in a later one.
    """
    in_order = sorted(tasks, key=lambda task: (task.since is None, task.since and task.since.timestamp()))
    latest = {task.task_id: task for task in in_order}
    last = in_order[-1] if in_order else None
    failed = [task for task in in_order if task is latest[task.task_id] and task.state == FAILED]
    if failed:
        return Judged("failed", failed[0].run_id, failed[0])
    if active := [task for task in in_order if task.run_state in ACTIVE_RUN]:
        waits = any(task.task_id == WAIT and task.state != "success" for task in active)
        return Judged("waiting" if waits else "running", active[-1].run_id)
    if last and last.run_state == FAILED:
        return Judged("failed", last.run_id)
    if is_published is None:
        is_published = last is not None and last.run_state == "success"
    run_id = last.run_id if last else None
    if is_published:
        return Judged("restated" if is_restated else "published", run_id)
    return Judged("never" if is_due else "waiting", run_id)
