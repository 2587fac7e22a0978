"""Finds out why the runs of a backfill do not move."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from math import inf
from typing import Any
from urllib.parse import quote

from dev.services.airflow_api import AirflowApi, DagPaths
from include.datasets import Dataset
from include.month import Month
from include.support.counted import counted

# The scheduler looks at queued runs and tasks about once a second, every few seconds on a busy machine.
PATIENCE_SECONDS = 20


@dataclass(frozen=True)
class Stall:
    """Something that keeps runs from moving. `dead` holds the ids of the runs that will never move by themselves."""

    why: str
    dead: frozenset[str] = frozenset()


class Stalls:
    """Finds what keeps the runs with logical dates in a range from moving. Call `look` again and again.

    A run that waits for its turn (`max_active_runs`) or for its next try is not reported. What may pass by itself in a
    moment is reported once it has lasted for `patience` seconds.
    """

    def __init__(
        self,
        api: AirflowApi,
        dataset: Dataset,
        dates: dict[str, str],
        timezone: tzinfo,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self.dataset, self.paths = dataset, DagPaths(dataset.dag_id)
        self.api, self.dates, self.timezone, self.patience = api, dates, timezone, patience
        self.undecided: set[str] = set()
        self._since: dict[str, float] = {}

    def look(self) -> list[Stall]:
        """What keeps the runs from moving now. Raises requests.RequestException."""
        self.undecided = set()
        runs = list(self.api.pages(self.paths.runs, "dag_runs", state=["queued", "running"], **self.dates))
        if not runs:
            return []
        dag = self.api.call("GET", self.paths.dag)
        if dag["is_paused"]:
            return [
                Stall(f"The DAG is paused, and nothing of it is started. Unpause it: {self.api.url}{self.paths.dag}")
            ]
        if dag["is_stale"]:
            return [Stall('Airflow cannot read the DAG any more: make airflow ARGS="dags list-import-errors"')]
        scheduler = self.api.health()["scheduler"]
        if self._lasts("scheduler", scheduler["status"] != "healthy", self.patience / 4):
            since = scheduler["latest_scheduler_heartbeat"]
            return [Stall(f"The scheduler gives no sign of life since {since}. Bring it back: make up")]
        return [*self._queued(runs, dag["max_active_runs"]), *self._waiting(runs), *self._without_slot()]

    def dead(self) -> set[str]:
        """The ids of the runs that will never move by themselves. To be sure of one takes up to `patience` seconds."""
        while True:
            dead = {run_id for stall in self.look() for run_id in stall.dead}
            if not self.undecided:
                return dead
            time.sleep(1)

    def _queued(self, runs: list[dict[str, Any]], most: int) -> Iterator[Stall]:
        """Runs that are queued although there is room for them: `most` is the limit of runs outside of backfills."""
        backfills = list(self.api.pages("/backfills", "backfills", dag_id=self.dataset.dag_id))
        running = Counter(
            run["run_type"] == "backfill" for run in self.api.pages(self.paths.runs, "dag_runs", state=["running"])
        )
        for run in runs:
            of_backfill = run["run_type"] == "backfill"
            # the API does not say which backfill a run belongs to: it may be any whose range covers it
            covering = _covering(run, backfills) if of_backfill else []
            limits = [each["max_active_runs"] for each in covering if not each["is_paused"]]
            room = run["state"] == "queued" and running[of_backfill] < min(limits, default=inf if of_backfill else most)
            lasts = self._lasts(f"queued {run['dag_run_id']}", room)
            cancelled = any(map(_cancelled, covering))
            if room and cancelled and not lasts:
                self.undecided.add(run["dag_run_id"])
            if not lasts:
                continue
            month = self._month(run)
            named = f"{month} (dag run {run['dag_run_id']}) is queued"
            if any(each["is_paused"] and not each["completed_at"] for each in covering):
                yield Stall(
                    f"{named} in a backfill that is paused. Unpause it: {self.api.url}{self.paths.dag}/backfills"
                )
            elif cancelled:
                yield Stall(
                    f"{named} for ever: it is of a backfill that was cancelled, and was cleared after that; Airflow "
                    f"starts no such run (apache/airflow#72337). Run it: make backfill DATASET={self.dataset.name} "
                    f"FROM={month} TO={month} REPROCESS=failed",
                    frozenset([run["dag_run_id"]]),
                )
            else:
                yield Stall(f"{named}, and nothing holds it up that Airflow tells of: see the scheduler's log")

    def _waiting(self, runs: list[dict[str, Any]]) -> Iterator[Stall]:
        """Months that are not available yet."""
        tasks = self.api.pages(self.paths.tasks, "task_instances", state=["up_for_reschedule"], **self.dates)
        waiting = {task["dag_run_id"] for task in tasks if task["task_id"] == "wait_for_month"}
        months = sorted(str(self._month(run)) for run in runs if run["dag_run_id"] in waiting)
        # between two checks the task runs for a moment
        if not self._lasts("TLC", bool(months), self.patience / 4):
            return
        behind = sum(run["state"] == "queued" for run in runs)
        turns = f"; they hold their turns, and {behind} more wait behind them" if behind else ""
        yield Stall(f"{', '.join(months)}: not available from TLC yet; they go on by themselves when it is{turns}")

    def _without_slot(self) -> Iterator[Stall]:
        """Tasks that could run, none of which does."""
        states = ["scheduled", "queued", "running", "restarting"]
        tasks = list(self.api.pages(self.paths.tasks, "task_instances", state=states, **self.dates))
        ready = [task for task in tasks if task["state"] in ("scheduled", "queued")]
        if not self._lasts("slot", bool(ready) and len(ready) == len(tasks)):
            return
        pools = [self.api.call("GET", f"/pools/{quote(name)}") for name in sorted({task["pool"] for task in ready})]
        free = ", ".join(
            f"{each['open_slots']} of {counted(each['slots'], 'slot')} of {each['name']}" for each in pools
        )
        if any(each["open_slots"] < 1 for each in pools):
            advice = f"give the pool more ({self.api.url}/pools), or wait for what uses it"
        else:
            advice = "a busy machine goes on by itself; else see whether a worker takes tasks"
        yield Stall(
            f"{counted(len(ready), 'task')} could run and none does, such as {ready[0]['task_id']} of dag run "
            f"{ready[0]['dag_run_id']}. Free are {free}: {advice}."
        )

    def _lasts(self, what: str, is_so: bool, patience: float | None = None) -> bool:
        """Whether it has been so at each look of the last `patience` seconds."""
        if not is_so:
            self._since.pop(what, None)
            return False
        since = self._since.setdefault(what, time.monotonic())
        return time.monotonic() - since >= (self.patience if patience is None else patience)

    def _month(self, run: dict[str, Any]) -> Month:
        return Month.containing(datetime.fromisoformat(run["logical_date"]), self.timezone)


def _covering(run: dict[str, Any], backfills: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The backfills whose range the run's logical date lies in."""
    date = datetime.fromisoformat(run["logical_date"])
    return [
        each
        for each in backfills
        if datetime.fromisoformat(each["from_date"]) <= date <= datetime.fromisoformat(each["to_date"])
    ]


def _cancelled(backfill: dict[str, Any]) -> bool:
    """Airflow pauses a backfill that it cancels, for good, and starts no run of a paused one."""
    return backfill["is_paused"] and backfill["completed_at"] is not None
