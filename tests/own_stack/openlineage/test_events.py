"""What a running stack tells a receiver of OpenLineage's events, which is a server on loopback."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from urllib.parse import quote

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dev.stack.stack import Stack
from dev.system.ports import LOOPBACK
from dev.tlc.sample_months import file_of, write_zones
from include.settings import ROOT
from tests.support.helpers import spoil
from tests.support.openlineage.receiver import Event, Receiver, lineage_receiver
from tests.support.openlineage.validation import faults
from tests.support.postgres.warehouse_content import query
from tests.support.stack.pipeline import SOURCE_SECRETS, Pipeline, running_pipeline
from tests.support.stack.processes import kill
from tests.support.until import until

pytestmark = pytest.mark.long

MONTHS = ("2023-05", "2023-06", "2023-07")
PLANTED = "planted-value-77"
RUN = "warehouse.airflow_default_YYYYMMDD."
PUBLISHED = "warehouse.airflow_default."


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with lineage_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def loaded(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A stack that has loaded three months, side by side, and sends its events as docs/how-to/openlineage.md has it."""
    state = ROOT / ".local" / "tests" / f"openlineage-{os.getpid()}"
    folder = tmp_path_factory.mktemp("tlc")
    write_zones(folder)
    document = (ROOT / "docs" / "how-to" / "openlineage.md").read_text()
    settings = dict(re.findall(r"^ +(AIRFLOW__OPENLINEAGE__\w+)='?(.*?)'?$", document, re.MULTILINE))
    transport = json.loads(settings["AIRFLOW__OPENLINEAGE__TRANSPORT"])
    # on a busy machine, a receiver that is well takes longer than the document's 0.4 s now and then
    settings["AIRFLOW__OPENLINEAGE__TRANSPORT"] = json.dumps(transport | {"url": receiver.url, "timeout": 3})
    settings |= {"PIPELINE_RETRY_SECONDS": "1", "PIPELINE_POLL_SECONDS": "10"}
    with running_pipeline(Stack(state), folder, settings=settings) as pipeline:
        for month in MONTHS:
            pipeline.publish_file(month)
        pipeline.backfill(*MONTHS)
        # an event may arrive after the end of its task
        ends = len(MONTHS) * (1 + len(tasks_of(pipeline)))
        until(lambda: len([each for each in receiver.events if is_end(each)]), lambda found: found == ends, seconds=60)
        yield pipeline
    shutil.rmtree(state)


def tasks_of(pipeline: Pipeline) -> set[str]:
    """Those that have a process; Cosmos' marks of sources have none."""
    found = pipeline.tasks(pipeline.run_of(MONTHS[0]))
    return {name for name, task in found.items() if task["operator"] != "EmptyOperator"}


def is_end(event: Event) -> bool:
    return event["eventType"] == "COMPLETE" and event["job"]["name"].split(".")[0] == "taxi_pipeline"


def month_of(event: Event) -> str:
    return next(each["value"] for each in event["run"]["facets"]["tags"]["tags"] if each["key"] == "month")


def tables(datasets: list[Event]) -> list[str]:
    return [each["name"] for each in datasets]


def test_three_months_side_by_side_are_whole_runs_of_one_graph(loaded: Pipeline, receiver: Receiver):
    tasks = tasks_of(loaded)
    of_pipeline = [each for each in receiver.events if each["job"]["name"].removeprefix("taxi_pipeline.") in tasks]
    assert [fault for each in receiver.events for fault in faults(each)] == []
    # a start and an end of each task of each month, as one run, in the DAG's run
    count = Counter(each["eventType"] for each in of_pipeline)
    assert count == {"START": len(tasks) * len(MONTHS), "COMPLETE": len(tasks) * len(MONTHS)}
    of_run: dict[str, list[str]] = {}
    for each in of_pipeline:
        of_run.setdefault(each["run"]["runId"], []).append(each["eventType"])
    assert {tuple(sorted(kinds)) for kinds in of_run.values()} == {("COMPLETE", "START")}
    dag_runs = {each["run"]["runId"] for each in receiver.of("taxi_pipeline", "START")}
    assert {each["run"]["facets"]["parent"]["run"]["runId"] for each in of_pipeline} == dag_runs
    # their months
    for each in of_pipeline:
        nominal = each["run"]["facets"]["nominalTime"]["nominalStartTime"]
        assert nominal[:7] in MONTHS
        if each["job"]["name"] != "taxi_pipeline.wait_for_month":
            assert nominal == f"{month_of(each)}-01T00:00:00+00:00"
    # and one graph: no month is in a name
    edges = {
        month: {
            (each["job"]["name"], way, dataset["namespace"], dataset["name"])
            for each in of_pipeline
            if each["run"]["facets"]["nominalTime"]["nominalStartTime"].startswith(month)
            for way in ("inputs", "outputs")
            for dataset in each[way]
        }
        for month in MONTHS
    }
    assert edges[MONTHS[0]] == edges[MONTHS[1]] == edges[MONTHS[2]]
    assert len(edges[MONTHS[0]]) == 56


def test_a_load_leads_from_the_file_s_version_to_the_raw_tables(loaded: Pipeline, receiver: Receiver):
    [event] = [each for each in receiver.of("taxi_pipeline.load_month") if month_of(each) == "2023-05"]
    trips, zones = event["inputs"]
    assert (trips["namespace"], trips["name"]) == (loaded.tlc.url, "trip-data/green_tripdata_YYYY-MM.parquet")
    assert zones["name"] == "misc/taxi_zone_lookup.csv"
    query_log = "select sha256, etag, rows, bytes from airflow_default.load_log where source_month = '2023-05-01'"
    [(sha256, etag, rows, size)] = query(loaded.dsn, query_log)
    version, statistics = trips["facets"]["version"], trips["inputFacets"]["inputStatistics"]
    assert (version["datasetVersion"], version["etag"]) == (sha256, etag)
    assert (statistics["rowCount"], statistics["size"], statistics["fileCount"]) == (rows, size, 1)
    where = trips["inputFacets"]["subset"]["inputCondition"]["locations"]
    assert where == [f"{loaded.tlc.url}/trip-data/green_tripdata_2023-05.parquet"]
    raw = event["outputs"][0]
    port = loaded.stack.warehouse.port
    assert (raw["namespace"], raw["name"]) == (f"postgres://{LOOPBACK}:{port}", PUBLISHED + "raw_trips")
    assert raw["outputFacets"]["outputStatistics"]["rowCount"] == rows
    types = {each["name"]: each["type"] for each in raw["facets"]["schema"]["fields"]}
    assert (types["trip_distance"], types["source_month"]) == ("double precision", "date")
    [origin] = raw["facets"]["columnLineage"]["fields"]["trip_distance"]["inputFields"]
    assert (origin["name"], origin["field"]) == (trips["name"], "trip_distance")


def test_a_model_says_its_tables_columns_sql_and_rows(loaded: Pipeline, receiver: Receiver):
    event = receiver.of("taxi_pipeline.build.int_zones.run")[0]
    assert tables(event["inputs"]) == [RUN + "stg_tlc__zones", RUN + "stg_tlc__files"]
    [made] = event["outputs"]
    assert made["name"] == RUN + "int_zones"
    assert made["outputFacets"]["outputStatistics"]["rowCount"] == 265
    [origin] = made["facets"]["columnLineage"]["fields"]["zone_name"]["inputFields"]
    assert (origin["name"], origin["field"]) == (RUN + "stg_tlc__zones", "zone_name")
    assert origin["transformations"][0]["type"] == "DIRECT"
    assert event["job"]["facets"]["sql"]["dialect"] == "postgres"
    assert "stg_tlc__zones" in event["job"]["facets"]["sql"]["query"]
    assert event["job"]["facets"]["dbt_node"]["unique_id"] == "model.taxi.int_zones"
    # a mart comes from the table that its rows come from, not from all whose audits it waits for
    mart = receiver.of("taxi_pipeline.publish.fct_trips.run")[0]
    assert (tables(mart["inputs"]), tables(mart["outputs"])) == (
        [RUN + "int_trips_judged"],
        [PUBLISHED + "fct_trips"],
    )
    types = {each["name"]: each.get("type") for each in mart["outputs"][0]["facets"]["schema"]["fields"]}
    assert types["trip_distance"] == "numeric(12, 2)"


def test_tests_say_their_results_by_column(loaded: Pipeline, receiver: Receiver):
    event = receiver.of("taxi_pipeline.build.int_zones.test")[0]
    [tested] = event["inputs"]
    assert tested["name"] == RUN + "int_zones"
    found = {
        (each["assertion"], each.get("column"), each["success"])
        for each in tested["inputFacets"]["dataQualityAssertions"]["assertions"]
    }
    assert ("not_null", "zone_id", True) in found
    [of_several] = receiver.of("taxi_pipeline.build.zone_days_sum_to_the_trips_test")[:1]
    assert tables(of_several["inputs"]) == [RUN + "int_trips_judged", RUN + "int_zone_days"]
    [result] = of_several["inputs"][1]["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert (result["name"], result["success"]) == ("zone_days_sum_to_the_trips", True)


def test_a_red_audit_fails_with_its_result_and_a_cleared_model_runs_alone(loaded: Pipeline, receiver: Receiver):
    loaded.publish_file("2023-08")
    spoil(file_of(loaded.tlc.folder, loaded.dataset, "2023-08"))
    failing = loaded.trigger(month="2023-08")
    assert loaded.wait(failing) == "failed"
    task = "taxi_pipeline.build.int_trips_judged.test"
    [event] = until(lambda: receiver.of(task, "FAIL"), bool, seconds=20)
    assert month_of(event) == "2023-08"
    assert event["run"]["facets"]["nominalTime"]["nominalStartTime"] == "2023-08-01T00:00:00+00:00"
    results = event["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"]
    red = {each["name"]: each["actual"] for each in results if not each["success"]}
    assert red == {"reject_share_is_plausible": "1"}
    said = event["run"]["facets"]["errorMessage"]
    assert said["message"] == "include.transform.dbt_log.DbtFailed: the task's log says why"
    assert "stackTrace" not in said
    # a model of another month, alone
    before = len(receiver.events)
    run_id = loaded.run_of("2023-05")
    loaded.clear(run_id, "build.int_zone_days.run")
    assert loaded.wait(run_id) == "success"
    until(lambda: receiver.of("taxi_pipeline"), lambda ended: len(ended) == len(MONTHS) + 1, seconds=20)
    alone = [(each["job"]["name"], each["eventType"]) for each in receiver.events[before:]]
    model = "taxi_pipeline.build.int_zone_days.run"
    assert [each for each in alone if each[0] != "taxi_pipeline"] == [(model, "START"), (model, "COMPLETE")]
    [table] = receiver.of(model)[-1]["outputs"]
    assert table["name"] == RUN + "int_zone_days"


def test_a_killed_task_has_failed_and_its_next_try_is_another_run(loaded: Pipeline, receiver: Receiver):
    run_id = loaded.run_of("2023-06")
    model = "taxi_pipeline.build.int_zone_days.run"
    before = len(receiver.of(model, "START")), len(receiver.of(model))
    with psycopg.connect(loaded.stack.postgres.dsn("warehouse", "postgres")) as session:
        session.execute("lock table airflow_default_20230601.int_zone_days")
        loaded.clear(run_id, "build.int_zone_days.run")
        until(lambda: receiver.of(model, "START"), lambda found: len(found) > before[0], seconds=60)
        [task] = until(loaded.task_processes, bool, seconds=30)
        kill(task.pid)
    assert loaded.wait(run_id) == "success"
    until(lambda: receiver.of(model), lambda found: len(found) == before[1] + 1, seconds=20)
    starts, ends = receiver.of(model, "START")[before[0] :], receiver.of(model)[before[1] :]
    assert len(starts) == 2
    assert [each["run"]["runId"] for each in ends] == [starts[1]["run"]["runId"]]
    assert starts[0]["run"]["runId"] != starts[1]["run"]["runId"]
    # the scheduler has told of it
    assert [each["run"]["runId"] for each in receiver.of(model, "FAIL")] == [starts[0]["run"]["runId"]]


def test_no_event_holds_a_secret_or_a_value_of_a_row(loaded: Pipeline, receiver: Receiver):
    file = file_of(loaded.tlc.folder, loaded.dataset, "2023-07")
    trips = pq.read_table(file)
    place = trips.schema.names.index("trip_distance")
    text = [*map(str, trips.column(place).to_pylist()[:-1]), PLANTED]
    pq.write_table(trips.set_column(place, "trip_distance", pa.array(text)), file)
    run_id = loaded.run_of("2023-07")
    loaded.clear_run(run_id)
    assert loaded.wait(run_id) == "failed"
    [event] = until(lambda: receiver.of("taxi_pipeline.load_month", "FAIL"), bool, seconds=20)
    assert PLANTED in loaded.log(run_id, "load_month", 2)
    assert event["run"]["facets"]["errorMessage"]["message"].endswith("FileContentError: the task's log says why")
    assert event["outputs"][0]["name"] == PUBLISHED + "raw_trips"
    sent = json.dumps(receiver.events)
    secrets = (loaded.stack.warehouse.password, *SOURCE_SECRETS)
    for word in {PLANTED, *secrets, *(quote(each, safe="") for each in secrets)}:
        assert word not in sent
    assert "environmentVariables" not in sent
    assert "sourceCode" not in sent


def test_a_receiver_that_is_slow_refuses_or_is_down_holds_no_task_up(loaded: Pipeline, receiver: Receiver):
    run_id, model = loaded.run_of("2023-05"), "build.int_zone_days.run"

    def seconds() -> float:
        """From the task's start to its end, as the grid shows it."""
        loaded.clear(run_id, model)
        assert loaded.wait(run_id) == "success"
        return float(loaded.tasks(run_id)[model]["duration"])

    receiver.seconds = 30
    slow = seconds()
    receiver.seconds, receiver.status = 0, 503
    refused = seconds()
    receiver.close()
    down = seconds()
    receiver.status = 201
    receiver.listen()
    # far less than the answer takes; docs/explanation/decisions/openlineage.md has what was measured
    assert max(slow, refused, down) < 15, (slow, refused, down)
    before = len(receiver.of(f"taxi_pipeline.{model}"))
    seconds()
    until(lambda: receiver.of(f"taxi_pipeline.{model}"), lambda found: len(found) > before, seconds=20)
