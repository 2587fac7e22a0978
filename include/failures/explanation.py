"""Explains a failure: what failed, why, and what to do."""

from __future__ import annotations

from typing import Any

from include.alerts import outbox
from include.alerts.runbook import KILLED
from include.datasets import Dataset, dataset_of, default_dataset
from include.failures.diagnosis import entry_of
from include.failures.reason import reason_of
from include.month import Month, MonthError
from include.runs.month_of_run import month_of, month_of_partition
from include.settings import SettingError
from include.source.base_url import address_to_show
from include.support.timezone import default_timezone
from include.transform.dbt_log import DbtFailed

MOST_ROWS = 5  # of each audit; dbt/macros/overrides/materialization_test_postgres.sql logs as many


class Failure:
    """A task that failed with an error. None: its process was killed, or never begun."""

    def __init__(self, task: Any, error: BaseException | None) -> None:
        self._task = task
        self._error = error
        self._nodes = error.nodes if isinstance(error, DbtFailed) else ()
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
        """Why, in the words of Postgres or of the audit, as the ledger shows it."""
        if self._error is None:
            why = "its process was killed, or never begun: it has left no reason, and its log may end in mid-sentence"
        else:
            why = reason_of(self._error)
        return f"Why: {why}"

    def what_to_do(self, is_tried_again: bool = False) -> str:
        """The entry of the runbook, and the command that shows the failure."""
        wait = "nothing yet, as it is tried again by itself. If it fails for good: " if is_tried_again else ""
        return f'What to do: {wait}RUNBOOK.md, "{self._entry.heading}". {self._shown_by()}'

    def rows(self) -> list[str]:
        """What each audit that fails guards against, and the first rows that fail it, a line each."""
        lines = []
        for each in self._nodes:
            if rows := each.first_rows()[:MOST_ROWS]:
                lines += [each.words.splitlines()[0], f"Rows that fail it, the first {len(rows)}:", *rows]
        return lines

    def tell(self) -> None:
        """Tells someone, if the task has a month."""
        if self._dataset and self._month:
            outbox.notify(
                dataset=self._dataset,
                month=self._month,
                cause=self._entry.cause,
                text="\n".join([self.what(), self.why(), *self.rows(), self._shown_by()]),
                section=self._entry.heading,
                link=self._task.log_url,
            )

    def _month_of_run(self) -> Month | None:
        """The run's month; None where it has none, or does not say it."""
        context = self._task.get_template_context()
        run, params = context["dag_run"], context["params"]
        try:
            if self._dataset and self._task.dag_id == self._dataset.report_dag_id:
                return month_of_partition(run, params)
            return month_of(run, params, default_timezone()) if self._dataset else None
        except (MonthError, SettingError):
            return None

    def _shown_by(self) -> str:
        """The command that shows the failure."""
        dataset = self._dataset or default_dataset()
        month = self._month
        ds = month.ds if month else "YYYY-MM-01"
        schema = dataset.published_schema()
        run_schema = getattr(self._task.task, "env", {}).get("PG_RUN_SCHEMA", "")
        own = run_schema if month and run_schema != f"{schema}_{month.ds_nodash}" else ""
        command = self._entry.command.format(
            own=f"PG_RUN_SCHEMA={own} " if own else "",
            of="" if dataset is default_dataset() else f" DATASET={dataset.name}",
            nodes=" ".join(each.name for each in self._nodes),
            ds=ds,
            schema=schema,
            url=self._url(dataset) if "{url}" in self._entry.command else "",
            dag_id=self._task.dag_id,
        )
        return f"Shown by: {command}"

    def _url(self, dataset: Dataset) -> str:
        return f"{address_to_show(dataset)}/{dataset.monthly.path.format(month=self._month or 'YYYY-MM')}"
