"""What bounds the tasks that run at once, and with them the connections to the warehouse: the slots of the pool."""

from __future__ import annotations

import psycopg
import pytest

from dev.system.programs import run
from include.datasets import GREEN
from tests.support.meanwhile import meanwhile
from tests.support.postgres.warehouse_content import query
from tests.support.stack.pipeline import Pipeline

MONTHS = ("2018-01", "2018-02", "2018-03")
SLOTS = 2
CONNECTIONS_OF_A_TASK = 2  # include/transform/task_groups.py: the threads of its dbt
OCCUPIED = "select 1 from task_instance where pool = 'default_pool' and state in ('queued', 'running')"


def test_a_new_airflow_has_so_many_slots_that_postgres_has_connections_for_them(pipeline: Pipeline):
    [(maximum,)] = query(pipeline.dsn, "show max_connections")
    assert maximum == "100", "Postgres' default"
    assert pipeline.pool()["slots"] * CONNECTIONS_OF_A_TASK == 64


@pytest.mark.long
def test_a_backfill_of_more_runs_than_there_are_slots_waits_and_opens_no_more_connections(pipeline: Pipeline):
    """No page of months is open, for which the api-server would connect to the warehouse too."""
    for month in MONTHS:
        pipeline.publish_file(month)
    words = ["backfill", "create", "--dag-id", GREEN.dag_id, "--max-active-runs", "50"]
    words += ["--from-date", f"{MONTHS[0]}-01", "--to-date", f"{MONTHS[-1]}-01"]
    pipeline.wait_for_backfills_to_close()
    metadata = pipeline.stack.postgres.dsn(pipeline.stack.choices.metadata_database, "postgres")
    with pipeline.slots(SLOTS), psycopg.connect(metadata, autocommit=True) as admin:
        tasks, connections, before = [0], [0], set[int]()

        def look() -> None:
            nonlocal before
            tasks.append(len(admin.execute(OCCUPIED).fetchall()))
            now = {pid for (pid,) in admin.execute("select pid from pg_stat_activity where usename = 'pipeline'")}
            # the server's process ends a moment after its client has closed the connection
            connections.append(len(now & before))
            before = now

        with meanwhile(look, every=0.01):
            created = run("airflow", *words, environment=pipeline.stack.environment(), capture=True)
            assert created.returncode == 0, created.stdout
            runs = [pipeline.run_of(month) for month in MONTHS]
            assert [pipeline.wait(run_id, seconds=600) for run_id in runs] == ["success"] * len(MONTHS)
            for month in MONTHS:
                pipeline.wait_for_report(month)
    assert max(tasks) == SLOTS
    assert 0 < max(connections) <= SLOTS * CONNECTIONS_OF_A_TASK, f"{max(connections)}, in {len(connections)} looks"
    assert {task["try_number"] for run_id in runs for task in pipeline.tasks(run_id).values()} == {1}
