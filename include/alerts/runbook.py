"""The entries of RUNBOOK.md that a failure can lead to, and the command of each that shows the failure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """`heading`: in RUNBOOK.md. `cause`: a few words. `command`: shows the failure; `Failure` fills it in."""

    heading: str
    cause: str
    command: str


ASK = "curl -sI {url}"
RUNS = 'make airflow ARGS="dags list-runs {dag_id}"'
TEST = """{own}make dbt{of} ARGS="test --select {nodes} --store-failures --vars '{{ds: {ds}}}'\""""
CHECK = "python -m include check   (locally make doctor)"
UNAVAILABLE = Entry("`wait_for_month` waits, or fails: 403 on the file", "its file is not there", ASK)
MONTH = Entry(
    "`MonthError`: a run does not say its month, or says two",
    "the run does not say its month",
    RUNS,
)
LOAD = Entry("`load_month` fails", "its file cannot be loaded", ASK)
SOURCE = Entry("The source is busy, or does not answer", "the source does not answer", ASK)
AUDIT = Entry(
    "An audit fails (a task that ends in `test`, in `build`)",
    "an audit failed",
    TEST,
)
PUBLISHED_TEST = Entry(
    "A test of a published table fails (a task that ends in `test`, in `publish`)",
    "a published table is not as it was audited",
    TEST,
)
REFUSED = Entry(
    "`stays as it was`: a publication is refused",
    "its publication was refused",
    'psql "$(make -s dsn ROLE=owner)" -c "select audit, inputs, passed, judged_at from {schema}.audit_log '
    "where source_month = '{ds}' order by judged_at desc limit 30\"",
)
MODEL = Entry(
    "A model fails", "a model failed", """{own}make dbt{of} ARGS="build --select {nodes} --vars '{{ds: {ds}}}'\""""
)
RESTATED = Entry(
    "A month came back restated",
    "its file was restated",
    'psql "$(make -s dsn ROLE=owner)" -c "select source_month, rows, sha256, etag, loaded_at from {schema}.load_log '
    'order by 1"',
)
DEPARTED = Entry(
    "A published month departs from its neighbours",
    "its figures depart from its neighbours'",
    'psql "$(make -s dsn ROLE=owner)" -c "select * from {schema}.fct_month_profile order by source_month"',
)
UNDO = Entry(
    "A restated month turns out wrong: undo",
    "no such version is kept",
    'psql "$(make -s dsn ROLE=owner)" -c "select source_month, sha256, rows, loaded_at, kept_at '
    'from {schema}.kept_versions order by 1, kept_at"',
)
ASKED = Entry("`taxi_restatements` fails", "the source was not asked", ASK)
DROPPED = Entry(
    "`is not there: the run schema was dropped`",
    "its run schema was dropped",
    'psql "$(make -s dsn ROLE=owner)" -c "\\dn {schema}*"',
)
REPORT = Entry("A report fails, or is not there", "its report failed", RUNS)
POSTGRES = Entry("Postgres is down", "Postgres does not answer", 'psql "$(make -s dsn ROLE=owner)" -c "select 1"')
FULL = Entry(
    "Postgres is read-only, full or damaged",
    "Postgres does not write",
    'psql "$(make -s dsn ROLE=owner)" -c "show transaction_read_only"',
)
LOCKED = Entry(
    "Another session is in the way",
    "another session is in the way",
    'psql "$(make -s dsn ROLE=owner)" -c "select pid, pg_blocking_pids(pid), state, now() - xact_start as since, '
    "left(query, 80) from pg_stat_activity where state <> 'idle' order by since desc nulls last\"",
)
KILLED = Entry("A worker is gone (CeleryExecutor)", "a task was killed", CHECK)
REVISION = Entry("A worker ends at its start, or refuses tasks", "a worker has another revision", CHECK)
API_SERVER = Entry("The api-server is gone, or a worker cannot reach it", "Airflow's server does not answer", CHECK)
SETTING = Entry("The connection or a setting is wrong", "a setting is wrong", CHECK)
TIME = Entry("A task takes too long", "a task took too long", RUNS)
OTHER = Entry("A failure without an entry of its own", "a task failed", "make ledger")

ENTRIES = (
    *(UNAVAILABLE, MONTH, LOAD, SOURCE, AUDIT, PUBLISHED_TEST, REFUSED, MODEL, RESTATED, DEPARTED, UNDO, ASKED),
    *(DROPPED, REPORT, POSTGRES, FULL, LOCKED, KILLED, REVISION, API_SERVER, SETTING, TIME, OTHER),
)
