"""Backfilling a range of months, followed to its end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dev.airflow_api import AirflowApi
from dev.console import console
from dev.errors import StackError
from dev.programs import run
from include.month import FIRST_MONTH, Month, MonthError
from include.settings import DAG_ID

RUNS = f"/dags/{DAG_ID}/dagRuns"
TASKS = f"{RUNS}/~/taskInstances"
POLL_SECONDS = 2
PLAIN_LINE_SECONDS = 15
ENDED = {"success", "failed"}
TASK_ENDED = ["success", "failed", "upstream_failed", "skipped", "removed"]
REPROCESS = ("none", "completed", "failed")


def months_between(first: str, last: str) -> list[Month]:
    """Both included, written YYYY-MM. Raises StackError unless TLC can have published all of them."""
    try:
        start, end = Month.parse(first), Month.parse(last)
    except MonthError as error:
        raise StackError(f"FROM={first} TO={last}: {error}") from None
    if start > end:
        raise StackError(f"FROM={first} is after TO={last}.")
    if start < FIRST_MONTH:
        raise StackError(f"FROM={first}: the first month of green-taxi trips is {FIRST_MONTH}.")
    if end.end > datetime.now(UTC):
        raise StackError(f"TO={last}: this month has not ended yet.")
    return [month for count in range(1 << 12) if (month := start.plus(count)) <= end]


@dataclass
class Outcome:
    """What became of the months of a backfill."""

    succeeded: list[Month] = field(default_factory=list)
    failed: list[Month] = field(default_factory=list)

    @property
    def months(self) -> list[Month]:
        return self.succeeded + self.failed

    def add(self, month: Month, state: str) -> None:
        """Count a run of the month that ended in the state."""
        (self.succeeded if state == "success" else self.failed).append(month)


class Backfill:
    """A backfill of consecutive months. Methods raise StackError and requests.RequestException."""

    def __init__(self, api: AirflowApi, environment: dict[str, str], months: list[Month]) -> None:
        self.api, self.environment, self.months = api, environment, months

    def create(self, parallel: int = 3, reprocess: str = "none") -> None:
        """Ask Airflow for it. A running one of the same months is taken for it; one of others is an error."""
        if self.api.call("GET", f"/dags/{DAG_ID}")["is_paused"]:
            raise StackError(f"The DAG is paused; unpause it first: {self.api.url}/dags/{DAG_ID}")
        active = self._active()
        if active is None:
            self._tell_what_is_left_alone(reprocess)
            self._create(parallel, reprocess)
        elif _range(active) == (self.months[0], self.months[-1]):
            console.print("A backfill of these months is running already; following it.")
        else:
            first, last = _range(active)
            raise StackError(
                f"A backfill of {first} to {last} is running, and Airflow runs one at a time. Wait for it "
                f"(make backfill FROM={first} TO={last} follows it), or cancel it: "
                f"{self.api.url}/dags/{DAG_ID}/backfills"
            )
        made = self._runs()
        if missing := [str(month) for month in self.months if month not in made]:
            raise StackError(f"Airflow made no DAG run for {', '.join(missing)}.")

    def follow(self) -> Outcome:
        """Show progress until every month's run has ended."""
        outcome = Outcome()
        with _progress(len(self.months)) as show:
            while True:
                if self._count(RUNS, state=ENDED) != len(outcome.months):
                    self._add_ended(outcome)
                show(outcome, self._count(TASKS, state=TASK_ENDED), self._count(TASKS))
                if len(outcome.months) == len(self.months):
                    return outcome
                time.sleep(POLL_SECONDS)

    def _add_ended(self, outcome: Outcome) -> None:
        for month, dag_run in sorted(self._runs().items()):
            if dag_run["state"] in ENDED and month not in outcome.months:
                outcome.add(month, dag_run["state"])
                if dag_run["state"] == "failed":
                    self._tell_of_failure(month, dag_run)

    def _create(self, parallel: int, reprocess: str) -> None:
        options = {
            "--dag-id": DAG_ID,
            "--from-date": self.months[0].ds,
            "--to-date": self.months[-1].ds,
            "--max-active-runs": str(parallel),
            "--reprocess-behavior": reprocess,
        }
        words = [word for option in options.items() for word in option]
        done = run("airflow", "backfill", "create", *words, environment=self.environment, capture=True)
        if done.returncode:
            raise StackError(f"Airflow refuses the backfill:\n{done.stdout[-3000:]}")

    def _active(self) -> dict | None:
        """The backfill that runs, if any."""
        for backfill in self.api.pages("/backfills", "backfills", dag_id=DAG_ID):
            if backfill["completed_at"]:
                continue
            if any(run["state"] not in ENDED for run in self._runs(*_range(backfill)).values()):
                return backfill
            # All of it has ended, which Airflow notices within 30 s, and takes no other backfill before. To cancel it
            # now closes it and touches no run.
            self.api.call("PUT", f"/backfills/{backfill['id']}/cancel")
        return None

    def _runs(self, first: Month | None = None, last: Month | None = None) -> dict[Month, dict]:
        """The DAG run of each month that has one; of this backfill's months unless told others."""
        found = self.api.pages(RUNS, "dag_runs", **self._date_range(first, last))
        by_start = {datetime.fromisoformat(run["logical_date"]): run for run in found}
        return {month: by_start[month.start] for month in map(Month.containing, by_start) if month.start in by_start}

    def _count(self, path: str, **filters) -> int:
        """Over all the months. The server counts: listing the tasks of three runs every second took it 17 s in 147."""
        return self.api.call("GET", path, params=self._date_range() | filters | {"limit": 1})["total_entries"]

    def _date_range(self, first: Month | None = None, last: Month | None = None) -> dict[str, str]:
        return {
            "logical_date_gte": (first or self.months[0]).start.isoformat(),
            "logical_date_lte": (last or self.months[-1]).start.isoformat(),
        }

    def _tell_what_is_left_alone(self, reprocess: str) -> None:
        """Airflow passes over months that have a run, in silence."""
        states = {month: run["state"] for month, run in sorted(self._runs().items())}
        kept = {"none": ENDED, "failed": {"success"}, "completed": set()}[reprocess]
        for state, hint in (
            ("success", "done before, not run again (REPROCESS=completed does)"),
            ("failed", "failed before, not run again (REPROCESS=failed does)"),
        ):
            months = [str(month) for month, found in states.items() if found == state]
            if months and state in kept:
                console.print(f"{', '.join(months)}: {hint}")

    def _tell_of_failure(self, month: Month, run: dict) -> None:
        run_id = run["dag_run_id"]
        console.print(f"[red]{month} failed[/red]: dag run {run_id}")
        for task in self.api.pages(f"{run_path(run_id)}/taskInstances", "task_instances", state="failed"):
            console.print(f"  task {task['task_id']}: {self.api.task_link(DAG_ID, run_id, task['task_id'])}")


def run_path(run_id: str) -> str:
    """The API's path of a run of the pipeline."""
    return f"{RUNS}/{quote(run_id, safe='')}"


def _range(backfill: dict) -> tuple[Month, Month]:
    first, last = (Month.containing(datetime.fromisoformat(backfill[name])) for name in ("from_date", "to_date"))
    return first, last


@contextmanager
def _progress(months: int) -> Iterator[Callable[[Outcome, int, int], None]]:
    """A bar on a terminal; elsewhere a line when a month has ended, and now and then."""
    began = time.monotonic()
    if console.is_terminal:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        with Progress(*columns, console=console) as progress:
            by_month, by_task = progress.add_task("months", total=months), progress.add_task("tasks", total=None)

            def draw(outcome: Outcome, ended: int, tasks: int) -> None:
                progress.update(by_month, completed=len(outcome.months))
                progress.update(by_task, completed=ended, total=tasks or None)

            yield draw
        return

    last_months, last_time = 0, began

    def print_line(outcome: Outcome, ended: int, tasks: int) -> None:
        nonlocal last_months, last_time
        now = time.monotonic()
        if len(outcome.months) != last_months or now - last_time > PLAIN_LINE_SECONDS:
            last_months, last_time = len(outcome.months), now
            console.print(f"{now - began:5.0f} s  months {last_months}/{months}, tasks {ended}/{tasks}")

    yield print_line
