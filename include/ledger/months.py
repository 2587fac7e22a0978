"""Judges the state of a month by its tasks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

WAIT = "wait_for_month"
ACTIVE_RUN = {"queued", "running"}
FAILED = "failed"
PUBLISHED = ("published", "restated")
NOT_BEGUN = {None, "scheduled", "queued"}
PROGRESS = ("running", "queued", "waiting")


@dataclass(frozen=True)
class TaskOfMonth:
    """The latest try of one task in one run of the month.

    `since`: when the try began, else when it was queued; None: not yet. `reason`: why it failed, if that was kept.
    `has_waited`: it looked for the file, which was not there, and looks again later. `run_began`, `run_ended`: of the
    run since its latest clear; None: not yet. `tasks_begun` of the run's `tasks` have begun since then; `task_begun` is
    the first of them by name.
    """

    run_id: str
    run_state: str
    task_id: str
    state: str | None
    since: datetime | None
    reason: str | None = None
    run_began: datetime | None = None
    run_ended: datetime | None = None
    has_waited: bool = False
    tasks: int | None = None
    tasks_begun: int | None = None
    task_begun: str | None = None


@dataclass(frozen=True)
class Judged:
    """`state`: one of `published restated failed queued running waiting never`. `task`: the one that failed, if any."""

    state: str
    run_id: str | None = None
    task: TaskOfMonth | None = None


def judge(
    tasks: Iterable[TaskOfMonth], is_published: bool | None, comes_by_itself: bool = False, is_restated: bool = False
) -> Judged:
    """The state of a month, from the tasks of all its runs, and from whether the published tables have it.

    `is_published`: None where no table says so; then the last run decides. `comes_by_itself`: whether its run is still
    to begin by the schedule, once its file may be there. `is_restated`: whether the source has another file than the
    one that is loaded; a published month is then restated.

    The latest attempt at a task decides; one that has not begun counts as the latest. So a model that failed makes its
    month failed, although Airflow judges the run by its last tasks and shows it green. A task that failed in one run
    does not count any more once it has succeeded in a later one. Of several runs of the month that go on, one that does
    something now says what the month does, before one that is about to, before one that waits for its file.
    """
    in_order = sorted(tasks, key=lambda task: (task.since is None, task.since and task.since.timestamp()))
    latest = {task.task_id: task for task in in_order}
    last = in_order[-1] if in_order else None
    failed = [task for task in in_order if task is latest[task.task_id] and task.state == FAILED]
    if failed:
        return Judged("failed", failed[0].run_id, failed[0])
    goes_on = [task.run_id for task in reversed(in_order) if task.run_state in ACTIVE_RUN]
    if progress := {run_id: _progress(in_order, run_id) for run_id in goes_on}:
        run_id = min(progress, key=lambda each: PROGRESS.index(progress[each]))
        return Judged(progress[run_id], run_id)
    if last and last.run_state == FAILED:
        return Judged("failed", last.run_id)
    if is_published is None:
        is_published = last is not None and last.run_state == "success"
    last_run = last.run_id if last else None
    if is_published:
        return Judged("restated" if is_restated else "published", last_run)
    return Judged("waiting" if comes_by_itself else "never", last_run)


def _progress(tasks: Iterable[TaskOfMonth], run_id: str) -> str:
    """What a run does that has not ended: one of PROGRESS."""
    of_run = [task for task in tasks if task.run_id == run_id]
    if any(task.task_id == WAIT and _waits(task) for task in of_run):
        return "waiting"
    begun = any(task.state not in NOT_BEGUN for task in of_run)
    return "running" if begun and of_run[0].run_state == "running" else "queued"


def _waits(task: TaskOfMonth) -> bool:
    return task.state == "up_for_reschedule" or (task.has_waited and task.state != "success")
