"""Creates a backfill of a range of months, and follows it to its end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import cached_property
from typing import Any

import pendulum
import requests
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dev.console import console
from dev.errors import StackError
from dev.runs.manual_run import print_failed_tasks
from dev.runs.stalls import PATIENCE_SECONDS, Stalls
from dev.services.airflow_api import AirflowApi, DagPaths
from dev.system.waiting import within
from include.datasets import Dataset
from include.month import Month, MonthError

CREATE_SECONDS = 300  # Airflow answers when it has made the runs of all months
# The server's answers to whoever follows a year took a fourth of its time, with 2 s and a look for stalls each 5 s.
POLL_SECONDS = 3
# Between two looks for what does not move while other tasks end; where none ends, a fourth of the patience.
LOOK_SECONDS = 30
# Airflow looks every 30 s for backfills whose runs have ended; for one that never got a run, 2 minutes after its start.
CLOSED_SECONDS = 180
PLAIN_LINE_SECONDS = 15
ENDED = {"success", "failed"}
TASK_ENDED = ["success", "failed", "upstream_failed", "skipped", "removed"]
REPROCESS = ("none", "completed", "failed")


def months_between(dataset: Dataset, first: str, last: str) -> list[Month]:
    """The months from first to last, both included, written YYYY-MM. Raises StackError unless all can be available."""
    try:
        start, end = Month.parse(first), Month.parse(last)
    except MonthError as error:
        raise StackError(f"FROM={first} TO={last}: {error}") from None
    if start > end:
        raise StackError(f"FROM={first} is after TO={last}.")
    if start < dataset.first_month:
        raise StackError(f"FROM={first}: {dataset.name} begins with {dataset.first_month}, {dataset.why_not_earlier}.")
    if end.end > datetime.now(UTC):
        raise StackError(f"TO={last}: this month has not ended yet.")
    return start.through(end)


@dataclass
class Outcome:
    """The months of a backfill by how their runs ended. `stuck`: their runs will never end by themselves."""

    succeeded: list[Month] = field(default_factory=list)
    failed: list[Month] = field(default_factory=list)
    stuck: list[Month] = field(default_factory=list)

    @property
    def ended(self) -> list[Month]:
        return self.succeeded + self.failed

    def add(self, month: Month, state: str) -> None:
        """Notes the state in which the month's run ended."""
        (self.succeeded if state == "success" else self.failed).append(month)


class Backfill:
    """A backfill of consecutive months. Methods raise StackError and requests.RequestException."""

    def __init__(
        self,
        api: AirflowApi,
        dataset: Dataset,
        months: list[Month],
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """`patience`: after how many seconds without progress the reason is printed."""
        self.api, self.months, self.patience = api, months, patience
        self.dataset, self.paths = dataset, DagPaths(dataset.dag_id)

    def create(self, parallel: int = 3, reprocess: str = "none") -> None:
        """Create the backfill, unless one of the same months is running. A running one of other months is an error.

        Where a backfill has ended, this waits until Airflow has closed it, and never cancels it: a run of a cancelled
        backfill that is cleared later stays queued for ever (apache/airflow#72337).
        """
        if self.api.call("GET", self.paths.dag)["is_paused"]:
            raise StackError(f"The DAG is paused; unpause it first: {self.api.url}{self.paths.dag}")
        active = self._active()
        if active is None:
            if reprocess != "none":
                self._revive()
                self._delete_runs_without_tasks(reprocess)
            self._tell_what_is_left_alone(reprocess)
            self._create(parallel, reprocess)
        elif self._range(active) == (self.months[0], self.months[-1]):
            console.print("A backfill of these months is running already; following it.")
        else:
            first, last = self._range(active)
            raise StackError(
                f"A backfill of {first} to {last} is running, and Airflow runs one at a time. Wait for it "
                f"(make backfill DATASET={self.dataset.name} FROM={first} TO={last} follows it), or cancel it: "
                f"{self.api.url}{self.paths.dag}/backfills (a run of it that is cleared later needs REPROCESS=failed)"
            )
        made = self._runs()
        if missing := [str(month) for month in self.months if month not in made]:
            raise StackError(f"Airflow made no DAG run for {', '.join(missing)}.")

    def follow(self) -> Outcome:
        """Show progress until every month's run has ended, and say why one does not move.

        Returns earlier when none of the runs that are left will ever move by itself; their months are `stuck`.
        """
        outcome = Outcome()
        stalls = Stalls(self.api, self.dataset, self._date_range(), self.timezone, self.patience)
        said, looked, ended_then, tasks = set(), 0.0, -1, 0
        with _progress(len(self.months)) as show:
            while True:
                if self._count(self.paths.runs, state=ENDED) != len(outcome.ended):
                    self._add_ended(outcome)
                all_ended = len(outcome.ended) == len(self.months)
                ended = self._count(self.paths.tasks, state=TASK_ENDED)
                waited = time.monotonic() - looked
                is_due = waited > (self.patience / 4 if ended == ended_then else LOOK_SECONDS)
                if is_due or all_ended:
                    looked, ended_then, tasks = time.monotonic(), ended, self._count(self.paths.tasks)
                show(outcome, ended, tasks)
                if all_ended:
                    return outcome
                if is_due:
                    found = stalls.look()
                    for stall in found:
                        if stall.why not in said:
                            console.print(stall.why, style="yellow", markup=False)
                    said = {stall.why for stall in found}
                    dead = {run_id for stall in found for run_id in stall.dead}
                    left = {month: run for month, run in self._runs().items() if run["state"] not in ENDED}
                    if left and {run["dag_run_id"] for run in left.values()} <= dead:
                        outcome.stuck = sorted(left)
                        return outcome
                time.sleep(POLL_SECONDS)

    def _add_ended(self, outcome: Outcome) -> None:
        for month, dag_run in sorted(self._runs().items()):
            if dag_run["state"] in ENDED and month not in outcome.ended:
                outcome.add(month, dag_run["state"])
                if dag_run["state"] == "failed":
                    self._tell_of_failure(month, dag_run)

    def _create(self, parallel: int, reprocess: str) -> None:
        """As `airflow backfill create` does, without the 5 s of CPU that the program takes to start."""
        asked = {
            "dag_id": self.dataset.dag_id,
            "from_date": self.months[0].start_in(self.timezone).isoformat(),
            "to_date": self.months[-1].start_in(self.timezone).isoformat(),
            "max_active_runs": parallel,
            "reprocess_behavior": reprocess,
        }
        try:
            self.api.call("POST", "/backfills", json=asked, timeout=CREATE_SECONDS)
        except requests.HTTPError as error:
            said = error.response.text if error.response is not None else str(error)
            raise StackError(f"Airflow refuses the backfill: {said[:3000]}") from None

    def _active(self) -> dict[str, Any] | None:
        """The running backfill, if any. Where all its runs have ended, waits until Airflow has closed it."""
        waited_for, stalls = None, None
        for _ in within(CLOSED_SECONDS, every=POLL_SECONDS):
            if (running := self._open()) is None:
                return None
            if waited_for not in (None, running["id"]):  # somebody else has created one meanwhile
                return running
            first, last = self._range(running)
            if not stalls:
                stalls = Stalls(self.api, self.dataset, self._date_range(first, last), self.timezone, self.patience)
            dead = stalls.dead()
            found = self._runs(first, last).values()
            if any(run["state"] not in ENDED and run["dag_run_id"] not in dead for run in found):
                return running
            if waited_for is None:
                console.print(f"The backfill of {first} to {last} has ended; waiting until Airflow closes it (30 s)")
                waited_for = running["id"]
        raise StackError(
            f"The backfill of {first} to {last} has ended, but was not closed in {CLOSED_SECONDS} s. "
            "See the scheduler's log. Do not cancel it: its runs could not be cleared any more."
        )

    def _open(self) -> dict[str, Any] | None:
        """The backfill that Airflow has not closed; there is one at most."""
        found = self.api.pages("/backfills", "backfills", dag_id=self.dataset.dag_id)
        return next((backfill for backfill in found if not backfill["completed_at"]), None)

    def _revive(self) -> None:
        """Sets runs that would stay queued for ever to failed, so that the new backfill runs them again."""
        dead = Stalls(self.api, self.dataset, self._date_range(), self.timezone, self.patience).dead()
        for month, dag_run in sorted(self._runs().items()):
            if dag_run["dag_run_id"] in dead:
                self.api.call("PATCH", self.paths.run(dag_run["dag_run_id"]), json={"state": "failed"})
                console.print(
                    f"{month}: was queued for ever, in a backfill that was cancelled; set failed, to run again"
                )

    def _delete_runs_without_tasks(self, reprocess: str) -> None:
        """Deletes runs that have lost all their tasks, as `airflow db clean` may leave them, so that new ones are made.

        Airflow would clear such a run, which has nothing to run, and take it for done.
        """
        for month, dag_run in sorted(self._runs().items()):
            path = self.paths.run(dag_run["dag_run_id"])
            is_due = dag_run["state"] == "failed" or (dag_run["state"], reprocess) == ("success", "completed")
            if is_due and not self.api.call("GET", f"{path}/taskInstances", params={"limit": 1})["total_entries"]:
                self.api.call("DELETE", path)
                console.print(f"{month}: its run had lost its tasks; it gets a new one")

    @cached_property
    def timezone(self) -> tzinfo:
        """The time zone in which the DAG's months begin."""
        name: str = self.api.call("GET", f"{self.paths.dag}/details")["timezone"]
        return pendulum.timezone(name)

    def _range(self, backfill: dict[str, Any]) -> tuple[Month, Month]:
        first, last = (
            Month.containing(datetime.fromisoformat(backfill[name]), self.timezone) for name in ("from_date", "to_date")
        )
        return first, last

    def _runs(self, first: Month | None = None, last: Month | None = None) -> dict[Month, dict[str, Any]]:
        """The DAG runs, by month, of this backfill's months, or of the months from `first` to `last`."""
        found = self.api.pages(self.paths.runs, "dag_runs", **self._date_range(first, last))
        by_start = {datetime.fromisoformat(run["logical_date"]).astimezone(UTC): run for run in found}
        months = {Month.containing(date, self.timezone) for date in by_start}
        starts = {month: month.start_in(self.timezone).astimezone(UTC) for month in months}
        return {month: by_start[start] for month, start in starts.items() if start in by_start}

    def _count(self, path: str, **filters: Any) -> int:
        """The number of this backfill's runs or tasks, counted by the server.

        Listing the tasks of three runs every second instead kept the server busy for 17 s in 147 s.
        """
        count: int = self.api.call("GET", path, params=self._date_range() | filters | {"limit": 1})["total_entries"]
        return count

    def _date_range(self, first: Month | None = None, last: Month | None = None) -> dict[str, str]:
        return {
            "logical_date_gte": (first or self.months[0]).start_in(self.timezone).isoformat(),
            "logical_date_lte": (last or self.months[-1]).start_in(self.timezone).isoformat(),
        }

    def _tell_what_is_left_alone(self, reprocess: str) -> None:
        """Says which months Airflow will leave out because they have a run; Airflow itself does not."""
        states = {month: run["state"] for month, run in sorted(self._runs().items())}
        left_alone = {"none": ENDED, "failed": {"success"}, "completed": set()}[reprocess]
        for state, hint in (
            ("success", "done before, not run again (REPROCESS=completed does)"),
            ("failed", "failed before, not run again (REPROCESS=failed does)"),
        ):
            months = [str(month) for month, found in states.items() if found == state]
            if months and state in left_alone:
                console.print(f"{', '.join(months)}: {hint}")

    def _tell_of_failure(self, month: Month, run: dict[str, Any]) -> None:
        run_id = run["dag_run_id"]
        its_log = f"make log DATASET={self.dataset.name} MONTH={month}"
        console.print(f"[red]{month} failed[/red]: dag run {run_id}; its log: {its_log}")
        print_failed_tasks(self.api, self.paths, run_id)


@contextmanager
def _progress(months: int) -> Iterator[Callable[[Outcome, int, int], None]]:
    """A bar on a terminal; elsewhere a line when a month has ended, and about every PLAIN_LINE_SECONDS."""
    began = time.monotonic()
    if console.is_terminal:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        with Progress(*columns, console=console) as progress:
            by_month, by_task = progress.add_task("months", total=months), progress.add_task("tasks", total=None)

            def draw(outcome: Outcome, ended: int, tasks: int) -> None:
                progress.update(by_month, completed=len(outcome.ended))
                progress.update(by_task, completed=ended, total=tasks or None)

            yield draw
        return

    last_months, last_time = 0, began

    def print_line(outcome: Outcome, ended: int, tasks: int) -> None:
        nonlocal last_months, last_time
        now = time.monotonic()
        if len(outcome.ended) != last_months or now - last_time > PLAIN_LINE_SECONDS:
            last_months, last_time = len(outcome.ended), now
            console.print(f"{now - began:5.0f} s  months {last_months}/{months}, tasks {ended}/{tasks}")

    yield print_line
