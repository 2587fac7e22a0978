"""Reads what the ledger shows of a dataset, by the same few queries however many months it has.

Two of Airflow's database, and its DAG where a task has failed; three of the warehouse, over one connection.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import tzinfo
from itertools import product
from typing import Any

import psycopg
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.taskreschedule import TaskReschedule
from airflow.models.xcom import XComModel
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier, Literal
from sqlalchemy import Subquery, and_, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from include.datasets import Dataset
from include.failures.reason import KEY
from include.ingest.source_checks import IS_RESTATED
from include.ledger.months import FAILED, WAIT, TaskOfMonth
from include.month import Month, MonthError
from include.profiles.published import on, published_profiles
from include.runs.month_of_run import SOURCE, month_of
from include.settings import SettingError

Rows = psycopg.Connection[dict[str, Any]]  # whose rows are dictionaries
FILES = """
    select source_month, bytes, sha256 as loaded_sha256, loaded_at
    from {schema}.load_log where table_name = {table}
"""
# The same, with the source's other file, if it has one, and the versions that can be put back. `odd`: the audits that
# may be accepted and fail on one of the month's files, and what was accepted. `to_jsonb`, as an audit_log of an earlier
# revision has no such columns before the next load.
FILES_AND_VERSIONS = f"""
    select
        source_month, load_log.bytes, sha256 as loaded_sha256, loaded_at,
        case
            when {IS_RESTATED} then jsonb_build_object(
                'etag', source_checks.etag, 'bytes', source_checks.bytes, 'since', since,
                'etag_loaded', load_log.etag, 'bytes_loaded', load_log.bytes
            )
        end as restated,
        (
            select
                jsonb_agg(
                    jsonb_build_object(
                        'sha256', kept.sha256, 'bytes', kept.bytes, 'rows', kept.rows, 'loaded_at', kept.loaded_at,
                        'kept_at', kept.kept_at
                    )
                    order by kept.kept_at desc
                )
            from {{schema}}.kept_versions as kept
            where kept.table_name = load_log.table_name and kept.source_month = load_log.source_month
                and kept.sha256 <> load_log.sha256
        ) as kept,
        {{pinned}} as pinned,
        (
            select
                jsonb_agg(
                    jsonb_build_object(
                        'audit', audit, 'sha256', substr(inputs, 6), 'at', judged_at,
                        'by', to_jsonb(audit_log) ->> 'accepted_by', 'reason', to_jsonb(audit_log) ->> 'reason'
                    )
                    order by audit
                )
            from {{schema}}.audit_log
            where audit_log.source_month = load_log.source_month and inputs ~ '^file [0-9a-f]{{{{64}}}}$'
                and (not passed or to_jsonb(audit_log) ->> 'reason' is not null)
        ) as odd
    from {{schema}}.load_log left join {{schema}}.source_checks using (source_month)
    where table_name = {{table}}
"""
# The version at which the month stays, whatever the source has.
PINNED = f"""
    (
        select
            jsonb_build_object(
                'version', version, 'since', asked_at, 'by', asked_by, 'dag_run', chosen_versions.dag_run
            )
        from {{schema}}.chosen_versions
        where chosen_versions.source_month = load_log.source_month and version <> '{SOURCE}'
    )
"""
FIGURES = "select * from {months} full join ({files}) as files using (source_month)"


def tasks_by_month(session: Session, dataset: Dataset, timezone: tzinfo) -> dict[Month, list[TaskOfMonth]]:
    """The tasks that decide on each month, in their latest try, from all runs of the dataset's DAG.

    These are tasks that have not succeeded; every attempt at a task that has failed in some run; and the first task of
    every run, which stands for the run. (All tasks of 150 months are 4,700 rows, and took 0.11 s.) Runs that do not say
    their month, and failed for it, are left out. So are failed tasks that the DAG has no more: their model was retired.
    """
    columns = (
        *(DagRun.run_id, DagRun.run_type, DagRun.logical_date, DagRun.conf, DagRun.state.label("run_state")),
        *(DagRun.start_date.label("run_began"), DagRun.end_date.label("run_ended")),
    )
    of_task = (TaskInstance.task_id, TaskInstance.state, TaskInstance.start_date, TaskInstance.queued_dttm)
    failed = aliased(TaskInstance)
    has_waited = exists().where(TaskReschedule.ti_id == TaskInstance.id).label("has_waited")
    counts = _tasks_of_runs(dataset)
    of_same_task = [getattr(XComModel, name) == getattr(TaskInstance, name) for name in ("dag_id", "run_id", "task_id")]
    rows = session.execute(
        select(*columns, *of_task, XComModel.value, has_waited, counts.c.tasks, counts.c.begun, counts.c.first)
        .join(TaskInstance, (TaskInstance.dag_id == DagRun.dag_id) & (TaskInstance.run_id == DagRun.run_id))
        .join(counts, counts.c.run_id == DagRun.run_id)
        .outerjoin(XComModel, and_(*of_same_task, XComModel.key == KEY, TaskInstance.state == FAILED))
        .where(
            DagRun.dag_id == dataset.dag_id,
            or_(
                TaskInstance.task_id == WAIT,
                TaskInstance.state.is_distinct_from("success"),
                TaskInstance.task_id.in_(
                    select(failed.task_id).where(failed.dag_id == dataset.dag_id, failed.state == FAILED)
                ),
            ),
        )
    ).all()
    retired = _not_in_the_dag(session, dataset, {row.task_id for row in rows if row.state == FAILED})
    found: dict[Month, list[TaskOfMonth]] = defaultdict(list)
    months: dict[str, Month | None] = {}
    for row in rows:
        if row.run_id not in months:
            months[row.run_id] = _month(row, timezone)
        if (month := months[row.run_id]) and row.task_id not in retired:
            since = row.start_date or row.queued_dttm
            reason = None if row.value is None else str(XComModel.deserialize_value(row))
            found[month].append(
                TaskOfMonth(
                    *(row.run_id, row.run_state, row.task_id, row.state, since, reason, row.run_began, row.run_ended),
                    *(row.has_waited, row.tasks, row.begun, row.first),
                )
            )
    return found


def _not_in_the_dag(session: Session, dataset: Dataset, tasks: set[str]) -> set[str]:
    dag = SerializedDagModel.get_dag(dataset.dag_id, session=session) if tasks else None
    return tasks - set(dag.task_ids) if dag else set()


def _tasks_of_runs(dataset: Dataset) -> Subquery:
    """For each run: how many tasks it has, how many have begun since its latest clear, the first of these by name."""
    begun = TaskInstance.start_date >= DagRun.start_date
    return (
        select(
            TaskInstance.run_id,
            func.count().label("tasks"),
            func.count().filter(begun).label("begun"),
            func.min(TaskInstance.task_id).filter(begun).label("first"),
        )
        .join(DagRun, (TaskInstance.dag_id == DagRun.dag_id) & (TaskInstance.run_id == DagRun.run_id))
        .where(TaskInstance.dag_id == dataset.dag_id)
        .group_by(TaskInstance.run_id)
        .subquery()
    )


def next_scheduled_month(session: Session, dataset: Dataset, timezone: tzinfo) -> Month | None:
    """The first month whose run is still to begin by the schedule. None: no run does; the DAG may be paused."""
    found = session.execute(
        select(DagModel.next_dagrun).where(DagModel.dag_id == dataset.dag_id, DagModel.is_paused.is_(False))
    ).scalar()
    return Month.containing(found, timezone) if found else None


def connect(conninfo: str) -> Rows:
    """A connection for the readers of the warehouse below. Raises psycopg.Error."""
    return psycopg.connect(conninfo, row_factory=dict_row, autocommit=True, prepare_threshold=None)


def figures_by_month(connection: Rows, dataset: Dataset, schema: str) -> dict[Month, dict[str, Any]]:
    """What the published table of months, if the dataset has one, and load_log say of each of their months."""
    names = {"schema": Identifier(schema), "table": Literal(dataset.monthly.table)}
    whole = [FIGURES] if dataset.months_table else []
    for query, (files, pinned) in product(
        (*whole, "{files}"), ((FILES_AND_VERSIONS, PINNED), (FILES_AND_VERSIONS, "null"), (FILES, ""))
    ):
        of_files = SQL(files).format(**names, pinned=SQL(pinned).format(**names))
        asked = SQL(query).format(months=Identifier(schema, dataset.months_table or ""), files=of_files)
        try:
            return {Month(row["source_month"]): row for row in connection.execute(asked)}
        except psycopg.errors.UndefinedTable:
            # nothing was loaded or published yet; or an earlier version of the project did, which has fewer tables
            continue
    return {}


def models_by_version(connection: Rows, schema: str) -> dict[str, dict[str, str]]:
    """The hashes of the models of each version of the SQL that has published a month: code_versions."""
    query = SQL("select code_version, models from {}").format(Identifier(schema, "code_versions"))
    try:
        return {row["code_version"]: row["models"] for row in connection.execute(query)}
    except psycopg.errors.UndefinedTable:  # of an earlier version of the project
        return {}


def profiles_by_month(connection: Rows, dataset: Dataset, schema: str) -> dict[Month, dict[str, Any]]:
    """The profile of each published month: of 200 months in some 50 ms of CPU, a half of it the server's."""
    return published_profiles(on(connection), dataset, schema)


def _month(dag_run: Any, timezone: tzinfo) -> Month | None:
    try:
        return month_of(dag_run, dag_run.conf or {}, timezone)
    except (MonthError, SettingError):
        return None
