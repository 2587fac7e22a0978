"""Which version of a month counts: what the source has, or the version that somebody has put back."""

from __future__ import annotations

import logging

from include.ingest.source_checks import VERSION
from include.month import Month
from include.runs.month_of_run import Choice
from include.warehouse.session import Warehouse

log = logging.getLogger(__name__)

WRITE_DOWN = f"""
    insert into {{schema}}.chosen_versions as known (source_month, version, asked_at, asked_by, dag_run, instead_of)
    values (
        $1::text::date, $2, $3, $4, $5,
        (select {VERSION} from {{schema}}.source_checks where source_month = $1::text::date)
    )
    on conflict (source_month) do update set
        version = excluded.version, asked_at = excluded.asked_at, asked_by = excluded.asked_by,
        dag_run = excluded.dag_run, instead_of = excluded.instead_of
    where known.asked_at < excluded.asked_at
"""


class ChoiceChanged(Exception):
    """Another version of the month was chosen while this one was being loaded."""


def choice_of_month(conninfo: str, schema: str, month: Month, asked: Choice | None) -> Choice | None:
    """`choice_that_counts`, in a session of its own. Raises psycopg.Error."""
    with Warehouse(conninfo, schema) as warehouse:
        return choice_that_counts(warehouse, month, asked)


def choice_that_counts(warehouse: Warehouse, month: Month, asked: Choice | None) -> Choice | None:
    """What was asked for last: `asked`, or what is written down. None: nobody ever asked, and the source counts.

    So a run that is cleared or tried again does not undo what somebody has asked for since.
    """
    known = _written_down(warehouse, month)
    if known and asked and known.asked_at > asked.asked_at:
        log.warning(
            "%s: this run asked for the version %s; %s, which was asked for since (dag run %s), counts",
            *(month, asked.version, known.version, known.dag_run),
        )
    return max(filter(None, (known, asked)), key=lambda choice: choice.asked_at, default=None)


def require_choice(warehouse: Warehouse, month: Month, choice: Choice | None) -> None:
    """Raises ChoiceChanged unless `choice` still counts. Call it with the month locked."""
    if (now := choice_that_counts(warehouse, month, choice)) != choice:
        raise ChoiceChanged(
            f"{month}: {now and now.version} was asked for while {choice and choice.version} was loaded"
        )


def write_down(warehouse: Warehouse, month: Month, choice: Choice, version: str) -> None:
    """Records the choice, and the whole SHA-256 that it stands for, in the current transaction."""
    values = (month.ds, version, choice.asked_at, choice.asked_by, choice.dag_run)
    warehouse.execute(WRITE_DOWN, values=values)


def _written_down(warehouse: Warehouse, month: Month) -> Choice | None:
    if not warehouse.exists(warehouse.schema, "chosen_versions"):
        return None
    found = warehouse.execute(
        "select version, asked_at, asked_by, dag_run from {schema}.chosen_versions where source_month = $1::text::date",
        values=(month.ds,),
    )
    return Choice(*found[0]) if found else None
