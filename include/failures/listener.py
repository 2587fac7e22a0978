"""Says what failed, why, and what to do: at the end of the failed task's log, and to whoever is told."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from airflow.listeners import hookimpl

log = logging.getLogger(__name__)

MOST_CHARACTERS = 1000
# A task's process reports its state first, and its reason within 20 s of that ([core] task_success_overtime). On a busy
# machine a run had ended before the reason was there.
REASON_SECONDS = 20
MOST_ROWS = 5  # of each audit; dbt/macros/overrides/materialization_test_postgres.sql logs as many


@hookimpl(trylast=True)  # after include.failures.reason, so that these lines are the last
def on_task_instance_failed(task_instance: Any, error: str | BaseException | None) -> None:
    """Airflow calls this in the task's process, once it is decided whether the task is tried again.

    For a task that was killed, or marked as failed, Airflow calls it in another process, with a string as the error.
    """
    from include.failures.retry import RetryWhatHeals  # Airflow loads this module in every process

    if not isinstance(error, BaseException) or not isinstance(task_instance.task.retry_policy, RetryWhatHeals):
        return
    failure = Failure(task_instance, error)
    is_tried_again = task_instance.state == "up_for_retry"
    if not is_tried_again:
        failure.tell()
    log.info("::endgroup::")  # of `Post Execute`, which the UI shows folded up
    for line in (*failure.rows(), failure.what(), failure.why(), failure.what_to_do(is_tried_again)):
        log.error("%s", line)


def tell_of_a_killed_task(context: Mapping[str, Any]) -> None:
    """Tells of a month whose run has failed, if the task's process could not: it was killed, or never begun.

    A DAG's on_failure_callback: the dag-processor calls it when a run has failed for good. Unlike a task's
    on_failure_callback it does not change how tasks are tried again (include.failures.reason).
    """
    from include.failures.reason import KEY

    task = context.get("ti")
    if task is None:
        return
    deadline = time.monotonic() + REASON_SECONDS
    while not task.xcom_pull(task_ids=task.task_id, key=KEY):
        if time.monotonic() > deadline:
            Failure(task, None).tell()
            return
        time.sleep(1)


class Failure:
    """A task that failed with an error. None: its process was killed, or never begun."""

    def __init__(self, task: Any, error: BaseException | None) -> None:
        from include.alerts.runbook import KILLED
        from include.datasets import dataset_of
        from include.failures.diagnosis import entry_of

        self._task = task
        self._error = error
        self._nodes = getattr(error, "nodes", ())
        self._dataset = dataset_of(task.dag_id)
        self._month = self._month_of_run()
        self._entry = KILLED if error is None else entry_of(error, task.dag_id, task.task_id)

    def what(self) -> str:
        """What failed: the model, or the audits and how many rows fail them; the month; the task."""
        failed = [
            f"{'audit' if each.kind == 'test' else each.kind} {each.name}"
            + (f" ({each.rows} failing row{'' if each.rows == 1 else 's'})" if each.rows is not None else "")
            for each in self._nodes
        ]
        month = [f"{self._month} of {self._dataset.name}"] if self._dataset and self._month else []
        task = f"task {self._task.task_id} of {self._task.dag_id}, try {self._task.try_number}"
        return f"What failed: {'; '.join([', '.join(failed), *month, task] if failed else [*month, task])}"

    def why(self) -> str:
        """Why, in the words of Postgres or of the audit."""
        from include.failures.reason import reason_of

        if self._error is None:
            why = "its process was killed, or never begun: it has left no reason, and its log may end in mid-sentence"
        elif self._nodes:
            why = " ".join(map(_said, self._nodes))
        else:
            why = reason_of(self._error)
        return f"Why: {' '.join(why.split())[:MOST_CHARACTERS]}"

    def what_to_do(self, is_tried_again: bool = False) -> str:
        """The entry of the runbook, and the command that shows the failure."""
        wait = "nothing yet, as it is tried again by itself. If it fails for good: " if is_tried_again else ""
        return f'What to do: {wait}RUNBOOK.md, "{self._entry.heading}". {self._shown_by()}'

    def rows(self) -> list[str]:
        """The first rows that fail each audit, a line each."""
        lines = []
        for each in self._nodes:
            if each.rows is not None and (rows := each.words.splitlines()[1:]):
                lines += [f"Rows that fail {each.name}, the first {len(rows[:MOST_ROWS])}:", *rows[:MOST_ROWS]]
        return lines

    def tell(self) -> None:
        """Tells someone, if the task has a month."""
        from include.alerts.outbox import notify

        if self._dataset and self._month:
            notify(
                dataset=self._dataset,
                month=self._month,
                cause=self._entry.cause,
                text="\n".join([self.what(), self.why(), *self.rows(), self._shown_by()]),
                section=self._entry.heading,
                link=self._task.log_url,
            )

    def _month_of_run(self) -> Any:
        """The run's month; None where it has none, or does not say it."""
        from include.month import MonthError
        from include.runs.month_of_run import month_of, month_of_partition
        from include.settings import SettingError
        from include.support.timezone import default_timezone

        context = self._task.get_template_context()
        run, params = context["dag_run"], context["params"]
        try:
            if self._dataset and self._task.dag_id == self._dataset.report_dag_id:
                return month_of_partition(run, params)
            return month_of(run, params, default_timezone()) if self._dataset else None
        except (MonthError, SettingError):
            return None

    def _shown_by(self) -> str:
        from include.datasets import GREEN

        dataset = self._dataset or GREEN
        month = self._month
        ds = month.ds if month else "YYYY-MM-01"
        schema = dataset.published_schema()
        run_schema = getattr(self._task.task, "env", {}).get("PG_RUN_SCHEMA", "")
        own = run_schema if month and run_schema != f"{schema}_{month.ds_nodash}" else ""
        command = self._entry.command.format(
            own=f"PG_RUN_SCHEMA={own} " if own else "",
            of="" if dataset is GREEN else f" DATASET={dataset.name}",
            nodes=" ".join(each.name for each in self._nodes),
            ds=ds,
            schema=schema,
            url=f"{dataset.host.address}/{dataset.monthly.path.format(month=month or 'YYYY-MM')}",
            dag_id=self._task.dag_id,
        )
        return f"Shown by: {command}"


def _said(node: Any) -> str:
    """Why a node failed, without dbt's list of macros; of an audit, what it guards against, and the first row."""
    lines = [line for line in node.words.splitlines() if not line.strip().startswith(">")]
    if node.rows is None:
        return "\n".join(lines)
    return " ".join(lines[:1] + [f"First row: {line.strip()}." for line in lines[1:2]])
