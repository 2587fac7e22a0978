"""Gives the asset event of a published table its month and figures, and notes which version of the SQL published it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any

import psycopg
from airflow.sdk import Context
from psycopg.rows import dict_row
from psycopg.sql import SQL, Composable, Identifier, Literal
from psycopg.types.json import Jsonb

from include.alerts.month_alerts import close_after_publication
from include.datasets import Dataset
from include.runs.assets import mark_events
from include.runs.month_of_run import month_of, run_schema_of
from include.support.timezone import default_timezone
from include.transform.code_version import MADE_BY, code_version
from include.warehouse.connection import warehouse_dsn

# Columns of the run's own table of months.
FIGURES = ("rows_in_file", "rows_accepted", "rows_rejected", "total_amount_accepted")


def mark_published(dataset: Dataset, mart: str, context: Context, _: Any) -> None:
    """The post_execute of a mart's task.

    The last mart notes the version of the SQL, closes the month's alerts, and tells which months depart since then.
    """
    month = month_of(context["dag_run"], context["params"], default_timezone())
    mark_events(context, context["task"].outlets, month, **figures_of_run(dataset, context))
    if mart == (dataset.months_table or mart):  # the table of months is published last
        note_code_version(dataset)
        close_after_publication(dataset, month)


def note_code_version(dataset: Dataset) -> None:
    """Writes the present version of the dataset's SQL into code_versions, where it is not there yet.

    A month that an earlier revision of the project has loaded, and this one publishes, may come before the table.
    """
    if (present := code_version(dataset.models)) is None:
        return
    schema = dataset.published_schema()
    table = Identifier(schema, "code_versions")
    insert = "insert into {table} values (%s, %s, %s, %s, now()) on conflict do nothing"
    with psycopg.connect(warehouse_dsn()) as connection, suppress(psycopg.errors.UndefinedTable):
        values = [present.version, present.git_revision, Jsonb(present.models), Jsonb(present.variables)]
        connection.execute(SQL(insert).format(table=table), values)


def figures_of_run(dataset: Dataset, context: Mapping[str, Any]) -> dict[str, Any]:
    """The month's FIGURES, as the run audited them, and its file's `sha256`. Amounts are text, to keep the cents.

    `code_version`: of the SQL that made the figures (docs/explanation/decisions/code-version.md), where it is known.
    """
    month = month_of(context["dag_run"], context["params"], default_timezone())
    run_schema = run_schema_of(context["dag_run"], context["params"], dataset.published_schema(), default_timezone())
    names: dict[str, Composable] = {
        "log": Identifier(dataset.published_schema(), "load_log"),
        "table": Literal(dataset.monthly.table),
        "month": Literal(month.first_day),
    }
    query = "select rows as rows_in_file, sha256 from {log} where table_name = {table} and source_month = {month}"
    if dataset.months_table:
        names["audited"] = Identifier(run_schema, dataset.audited_months)
        names["made_by"] = Literal(MADE_BY)
        names["audited_name"] = Literal(names["audited"].as_string())
        query = (
            "select audited.*, log.sha256, nullif(split_part("
            "obj_description({audited_name}::regclass, 'pg_class'), {made_by}, 2), '') as code_version "
            "from {audited} as audited "
            "join {log} as log on log.file_id = audited.file_id and log.table_name = {table}"
        )
    with psycopg.connect(warehouse_dsn(), row_factory=dict_row) as connection:
        found = connection.execute(SQL(query).format(**names)).fetchone() or {}
    plain = {name: str(value) if isinstance(value, Decimal) else value for name, value in found.items()}
    return {name: plain[name] for name in (*FIGURES, "sha256", "code_version") if name in plain}
