"""What bounds the tasks that run at once, and with them the connections to the warehouse: the slots of the pool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from dev.programs import run
from include.datasets import GREEN
from tests.support.meanwhile import meanwhile
from tests.support.pipeline import Pipeline

MONTHS = ("2018-01", "2018-02", "2018-03", "2018-04")
SLOTS = 2
CONNECTIONS_OF_A_TASK = 2  # include/transform.py: the threads of its dbt
POOL = "/pools/default_pool"


@contextmanager
def slots(pipeline: Pipeline, number: int) -> Iterator[None]:
    def give(number: int) -> None:
        pipeline.stack.api.call("PATCH", POOL, json={"slots": number}, params={"update_mask": ["slots"]})

    before = pipeline.stack.api.call("GET", POOL)["slots"]
    give(number)
    try:
        yield
    finally:
        give(before)


def test_a_new_airflow_has_so_many_slots_that_postgres_has_connections_for_them(pipeline: Pipeline):
    [(maximum,)] = psycopg.connect(pipeline.dsn).execute("show max_connections")
    assert maximum == "100", "Postgres' default"
    assert pipeline.stack.api.call("GET", POOL)["slots"] * CONNECTIONS_OF_A_TASK == 64


def test_a_backfill_of_more_runs_than_there_are_slots_waits_and_opens_no_more_connections(pipeline: Pipeline):
    """No page of months is open, for which the api-server would connect to the warehouse too."""
    for month in MONTHS:
        pipeline.publish_file(month)
    seen: list[int] = []
    environment = pipeline.stack.environment()
    words = ["backfill", "create", "--dag-id", GREEN.dag_id, "--max-active-runs", "50"]
    words += ["--from-date", f"{MONTHS[0]}-01", "--to-date", f"{MONTHS[-1]}-01"]
    pipeline.wait_for_backfills_to_close()
    with (
        slots(pipeline, SLOTS),
        psycopg.connect(pipeline.stack.postgres.dsn("postgres", "postgres"), autocommit=True) as admin,
    ):

        def look() -> None:
            [(found,)] = admin.execute("select count(*) from pg_stat_activity where usename = 'pipeline'")
            seen.append(found)

        with meanwhile(look, every=0.002):
            created = run("airflow", *words, environment=environment, capture=True)
            assert created.returncode == 0, created.stdout
            runs = [pipeline.run_of(month) for month in MONTHS]
            assert [pipeline.wait(run_id, seconds=600) for run_id in runs] == ["success"] * len(MONTHS)
            for month in MONTHS:
                pipeline.wait_for_report(month)
    tries = {task["try_number"] for run_id in runs for task in pipeline.tasks(run_id).values()}
    assert tries == {1}
    assert 1 < max(seen) <= SLOTS * CONNECTIONS_OF_A_TASK, f"{max(seen)} connections, in {len(seen)} looks"
