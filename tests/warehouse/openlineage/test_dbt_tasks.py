"""What the tasks that run dbt tell OpenLineage of a month in a real warehouse."""

from __future__ import annotations

from typing import Any

import pytest

from dev.services.warehouse_address import WarehouseAddress
from include.datasets import GREEN
from include.openlineage.dbt import NodeOfTask
from include.transform import operators
from include.transform.dbt_log import DbtFailed
from tests.support.dbt.project import Project
from tests.support.helpers import ends_well, fork
from tests.support.postgres.warehouse_content import query

pytestmark = pytest.mark.long  # they need what `make openlineage` installs

RUN_SCHEMA = "airflow_default_20240101"
RUN = "warehouse_of_a_test.airflow_default_YYYYMMDD."


@pytest.fixture(autouse=True)
def loaded(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.load("2024-01")
    monkeypatch.setenv("AIRFLOW_CONN_AZURE_PG", WarehouseAddress.from_dsn(project.dsn).airflow_connection())


def task(operator: type[operators.RunDbt], select: str, unique_id: str) -> operators.RunDbt:
    return operator(
        task_id="a_task",
        select=select,
        exclude=operators.UNIT_TESTS,
        env={"PG_SCHEMA": "airflow_default", "PG_RUN_SCHEMA": RUN_SCHEMA},
        vars={"ds": "2024-01-01"},
        node=NodeOfTask(operator.command, unique_id, GREEN),
    )


def assertions(lineage: Any) -> dict[str, tuple[str | None, bool]]:
    [table] = lineage.inputs
    facet = table.inputFacets["dataQualityAssertions"]
    return {each.name: (each.column, each.success) for each in facet.assertions}


def test_a_model_and_its_tests_name_their_tables_before_and_say_what_was_made_after(project: Project):
    def run() -> None:
        for name in ("staging.tlc.stg_tlc__files", "staging.tlc.stg_tlc__zones", "intermediate.tlc.int_zones"):
            model = task(operators.RunModel, f"fqn:taxi.{name}", f"model.taxi.{name.rpartition('.')[2]}")
            before = model.get_openlineage_facets_on_start()
            model.execute({})
            after = model.get_openlineage_facets_on_complete(None)
            assert [each.name for each in before.outputs] == [each.name for each in after.outputs]
        assert [each.name for each in after.inputs] == [RUN + "stg_tlc__zones", RUN + "stg_tlc__files"]
        [made] = after.outputs
        assert made.name == RUN + "int_zones"
        assert made.outputFacets["outputStatistics"].rowCount == 265
        assert "stg_tlc__zones" in after.job_facets["sql"].query
        assert after.run_facets["nominalTime"].nominalStartTime == "2024-01-01T00:00:00+00:00"

        tests = task(operators.TestNode, "int_zones", "model.taxi.int_zones")
        # they read the trips too, and have tasks of their own
        tests.exclude += " int_trips_judged_pickup_zones_resolve int_trips_judged_dropoff_zones_resolve"
        tests.execute({})
        found = assertions(tests.get_openlineage_facets_on_complete(None))
        assert found["int_zones_zone_id_unique"] == ("zone_id", True)

    ends_well(fork(run))


def test_a_red_audit_is_named_and_its_rows_are_not_shown(project: Project):
    query(project.dsn, "delete from airflow_default.raw_trips where source_row = 1")

    def run() -> None:
        tests = task(operators.TestNode, "source:tlc.raw_trips", "source.taxi.tlc.raw_trips")
        tests.exclude += " every_raw_row_is_judged"
        with pytest.raises(DbtFailed):
            tests.execute({})
        found = assertions(tests.get_openlineage_facets_on_complete(None))
        assert [name for name, (_, passed) in found.items() if not passed] == [
            "raw_trips_hold_the_rows_that_were_logged"
        ]

    ends_well(fork(run))
