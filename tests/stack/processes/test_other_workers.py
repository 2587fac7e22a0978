"""A worker with other settings than the DAG processor."""

from __future__ import annotations

import pytest

from dev.services.airflow_api import DagPaths
from include.alerts.runbook import SETTING
from tests.support.documents import shows
from tests.support.postgres.warehouse_content import RAW, content, query
from tests.support.stack.pipeline import Pipeline

MONTH = "2022-11"


@pytest.mark.long
def test_tasks_in_a_process_with_another_student_fail_by_name_and_make_no_schema(pipeline: Pipeline):
    pipeline.publish_file(MONTH)
    pipeline.backfill(MONTH)
    run_id = pipeline.run_of(MONTH)
    schemas = "select nspname from pg_namespace where nspname ~ '^airflow' order by 1"
    before = query(pipeline.dsn, schemas), content(pipeline.dsn, RAW), content(pipeline.dsn)
    refusal = "AIRFLOW_STUDENT is other where this task runs, and default where its DAG was drawn"
    # the last ones first: a task whose upstream has failed does not run
    tasks = ("publish.fct_trips.run", "build.int_zones.run", "load_month")
    with pipeline.workers_with(AIRFLOW_STUDENT="other"):
        for task in tasks:
            pipeline.clear(run_id, task)
            pipeline.wait_for_failure(run_id, task)
            log = pipeline.log(run_id, task, attempt=2)
            assert refusal in log, task
            shows(SETTING.heading, "AIRFLOW_STUDENT is … where this task runs, and … where its DAG was drawn", log)
            assert pipeline.tasks(run_id)[task]["try_number"] == 2, task
        maintenance = DagPaths("taxi_maintenance")
        dropping, state = pipeline.run_to_its_end(maintenance, seconds=60)
        assert state == "failed"
        log = pipeline.stack.api.call("GET", f"{maintenance.task(dropping, 'drop_run_schemas')}/logs/1")
        assert refusal in str(log)
    assert (query(pipeline.dsn, schemas), content(pipeline.dsn, RAW), content(pipeline.dsn)) == before
    # and with all processes alike, they run
    pipeline.clear(run_id, *tasks)
    assert pipeline.wait(run_id) == "success"
    assert set(pipeline.states(run_id).values()) == {"success"}
    assert (query(pipeline.dsn, schemas), content(pipeline.dsn)) == (before[0], before[2])
