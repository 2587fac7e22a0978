"""The state of a month, judged by its tasks."""

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

    `since`: when it began, or else was queued; None: not yet. `reason`: why it failed, where it said so. `run_began`,
    `run_ended`: of the run since its latest clear; None: not yet.
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
    """The state of a month from its tasks, of all its runs, and from whether the published tables have it.

    `is_published`: None where no table says so; then the last run decides. `is_due`: whether its file may be there.
    `is_restated`: whether the source has another file than the one that is loaded; a published month then says so.

    Of a task that several runs have, the one that began last decides, or one that is still to begin. So a model that
    failed is red although its run, which Airflow judges by its last tasks, is green; and a task that failed in one run
    counts no more once it has succeeded in a later one.
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
    published = "restated" if is_restated else "published"
    state = published if is_published else "never" if is_due else "waiting"
    return Judged(state, last.run_id if last else None)
