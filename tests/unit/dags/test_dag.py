"""The DAG as Airflow sees it: policy, wiring, and the month each kind of run is for."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from cosmos.operators.local import DbtLocalBaseOperator

from include.datasets import DATASETS, Dataset
from include.failures.retry import RETRIES, RetryWhatHeals
from include.runs.timetable import MonthlyOncePublished
from include.settings import DBT_MANIFEST, RETRY, ROOT
from include.transform import task_groups as transform
from include.transform.operators import RunDbt
from tests.support.stack.airflow_cfg import PROJECT
from tests.support.trips import TRIPS


@pytest.fixture(scope="module")
def dagbag() -> DagBag:
    return DagBag(ROOT / "dags", load_op_links=False)


@pytest.fixture(scope="module", params=DATASETS.values(), ids=DATASETS)
def dataset(request) -> Dataset:
    return request.param


@pytest.fixture(scope="module")
def dag(dagbag: DagBag, dataset: Dataset):
    return dagbag.dags[dataset.dag_id]


def nodes_of(dataset: Dataset, resource_type: str) -> list[dict[str, Any]]:
    """The dbt nodes of this kind in the folders of the dataset's models."""
    nodes = json.loads(DBT_MANIFEST.read_text())["nodes"].values()
    return [each for each in nodes if each["resource_type"] == resource_type and each["fqn"][2] == dataset.models]


def marts_of(dataset: Dataset) -> set[str]:
    return {each["name"] for each in nodes_of(dataset, "model") if each["fqn"][1] == "marts"}


def test_the_folder_holds_the_pipelines_their_maintenance_and_no_import_error(dagbag: DagBag):
    assert dagbag.import_errors == {}
    pipelines = {each.dag_id for each in DATASETS.values()}
    reports = {each.report_dag_id for each in DATASETS.values() if each.report_dag_id}
    assert set(dagbag.dags) == {"taxi_maintenance", "taxi_restatements", *pipelines, *reports}


def test_a_run_is_for_a_whole_month_that_has_ended(dag, dataset: Dataset):
    assert isinstance(dag.timetable, MonthlyOncePublished)
    assert dag.timetable.published_after == dataset.published_after
    assert not dag.catchup
    # a later start date would end earlier backfills green with no task run
    assert dag.start_date == dataset.first_month.start


def test_months_run_side_by_side(dag):
    assert dag.max_active_runs >= 12


def test_the_dag_says_what_to_do_when_it_fails(dag, dataset: Dataset):
    assert "RUNBOOK.md" in dag.doc_md
    assert {dataset.models, dataset.name, "dbt", "monthly"} <= dag.tags


def test_every_task_has_an_owner_a_bound_and_retries_only_what_heals(dagbag: DagBag):
    tasks = [task for dag in dagbag.dags.values() for task in dag.tasks]
    assert tasks
    for task in tasks:
        assert task.owner == "data-engineering", task.task_id
        assert task.execution_timeout, task.task_id
        assert task.retries == RETRIES, task.task_id
        assert isinstance(task.retry_policy, RetryWhatHeals), task.task_id


def test_no_message_is_delivered_again_while_its_task_may_still_run(dagbag: DagBag):
    """Airflow would end the task and try it again, each time."""
    longest = max(task.execution_timeout.total_seconds() for dag in dagbag.dags.values() for task in dag.tasks)
    assert int(PROJECT["celery_broker_transport_options", "visibility_timeout"]) >= longest + 600


def test_a_killed_task_waits_as_long_before_each_retry_however_often_it_was_cleared(dagbag: DagBag):
    """Airflow's own backoff, which a killed task gets, counts the tries before a clear too."""
    for task in (task for dag in dagbag.dags.values() for task in dag.tasks):
        assert task.retry_delay == RETRY.value(), task.task_id
        assert not task.retry_exponential_backoff, task.task_id


def test_waiting_holds_no_worker_slot_and_ends(dag):
    wait = dag.get_task("wait_for_month")
    assert wait.mode == "reschedule"
    assert wait.timeout < 300 * 86400


def test_a_model_s_task_shows_the_models_name_by_which_the_page_of_the_lineage_finds_it(dag, dataset: Dataset):
    shown = [task.task_display_name for task in dag.tasks]
    for model in nodes_of(dataset, "model"):
        assert shown.count(model["name"]) == 1, model["name"]
    assert "load_month" in dag.task_ids


def test_every_model_is_a_task_and_each_data_test_runs_in_exactly_one(dag, dataset: Dataset):
    models, tests = nodes_of(dataset, "model"), nodes_of(dataset, "test")
    assert models
    assert tests
    ids = set(dag.task_ids)
    for model in models:
        assert any(re.fullmatch(rf"(build|publish)\.{model['name']}[._]run", each) for each in ids), model["name"]
    for test in tests:
        parents = [parent.split(".", 2)[2].replace(".", "_") for parent in test["depends_on"]["nodes"]]
        own = any(each.endswith(f".{test['name']}_test") for each in ids)
        with_model = len(parents) == 1 and any(each.endswith(f".{parents[0]}.test") for each in ids)
        assert own != with_model, f"{test['name']} must run in exactly one task"


def test_each_dbt_task_does_what_cosmos_own_task_of_its_name_would(
    dag, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
):
    def said(task: Any) -> dict[str, Any]:
        words = {name: set((getattr(task, name) or "").split()) for name in ("select", "exclude")}
        return words | {name: getattr(task, name) for name in ("vars", "env")}

    monkeypatch.setattr(transform, "converters", lambda dataset, nodes: {})
    with DAG("of_cosmos_alone"):
        for group, layers in (("build", ["staging", "intermediate"]), ("publish", ["marts"])):
            for task in transform.dbt_task_group(group, dataset, layers=layers).iter_tasks():
                ours = dag.get_task(task.task_id)
                assert isinstance(ours, RunDbt) == isinstance(task, DbtLocalBaseOperator), task.task_id
                if isinstance(task, DbtLocalBaseOperator):
                    assert [ours.command] == task.base_cmd, task.task_id
                    assert said(ours) == said(task), task.task_id
                    # what ours has no word for, and Cosmos' could say
                    assert [task.models, task.selector, task.indirect_selection] == [None] * 3, task.task_id


def test_nothing_is_published_before_every_task_of_the_build_has_succeeded(dag):
    build = {each for each in dag.task_ids if each.startswith("build.")}
    publish = {each for each in dag.task_ids if each.startswith("publish.")}
    assert build
    assert publish
    for each in publish:
        task = dag.get_task(each)
        assert task.trigger_rule == "all_success", each
        assert build <= task.get_flat_relative_ids(upstream=True), each


@pytest.mark.parametrize("name", [name for name, each in DATASETS.items() if each.months_table])
def test_the_month_appears_in_the_table_of_months_after_all_else_is_published_and_tested(dagbag: DagBag, name: str):
    dag, last = dagbag.dags[DATASETS[name].dag_id], f"publish.{DATASETS[name].months_table}."
    before = dag.get_task(f"{last}run").get_flat_relative_ids(upstream=True)
    others = {each for each in dag.task_ids if each.startswith("publish.") and not each.startswith(last)}
    assert others
    assert others <= before


def test_the_shared_tables_are_assets_whose_uris_do_not_change_from_run_to_run(dag, dataset: Dataset):
    outlets = [asset for task in dag.tasks for asset in task.outlets if asset.group == "warehouse"]
    schema = dataset.published_schema("default")
    tables = {file.table for file in dataset.files} | marts_of(dataset)
    assert {asset.uri for asset in outlets} == {
        f"postgres://azure_pg:5432/warehouse/{schema}/{table}" for table in tables
    }


def test_each_dbt_task_has_a_name_of_its_own_and_says_what_it_is(dag):
    tasks = [task for task in dag.tasks if isinstance(task, RunDbt)]
    assert tasks
    assert len({task.task_display_name for task in tasks}) == len(tasks)
    for task in tasks:
        assert task.doc_md, task.task_id


@pytest.mark.parametrize("trips", TRIPS.values(), ids=TRIPS)
def test_a_task_s_text_has_the_columns_and_the_tests_that_run_in_it(dagbag: DagBag, trips: Dataset):
    dag = dagbag.dags[trips.dag_id]
    model = dag.get_task("publish.fct_trips.run")
    assert model.task_display_name == "fct_trips"
    assert model.doc_md.startswith("One row per accepted trip")
    assert "| `source_month` | date | First day of the month of TLC's file, never of the pickup. |" in model.doc_md
    assert "`fct_trips_published_as_audited`" in model.doc_md
    assert "/ledger/docs#!/model/model.taxi.fct_trips)" in model.doc_md
    tests = dag.get_task("build.int_zone_days.test")
    assert tests.task_display_name == "int_zone_days: tests"
    counted = "| `int_zone_days_unique_per_date_and_zone` | Guards against a zone counted twice on a day. |"
    assert counted in tests.doc_md
    assert "zone_days_sum_to_the_trips" not in tests.doc_md, "it reads two models, and has a task of its own"
    own = dag.get_task("build.zone_days_sum_to_the_trips_test")
    assert own.task_display_name == "zone_days_sum_to_the_trips"
    assert "Guards against trips, or money, that an aggregation loses." in own.doc_md


def test_lineage_leads_from_the_file_to_every_published_table(dag, dataset: Dataset):
    made_by = {asset.name: task for task in dag.tasks for asset in task.outlets}
    schema = dataset.published_schema("default")
    file = dataset.monthly.path.rsplit("/", 1)[1].format(month="YYYY-MM")
    assert made_by[file].task_id == "wait_for_month"
    assert file in {asset.name for asset in made_by[f"{schema}.{dataset.monthly.table}"].inlets}
    assert marts_of(dataset)
    for table in marts_of(dataset):
        found = made_by[f"{schema}.{table}"]
        assert found.task_id == f"publish.{table}.run"
        assert found.inlets
        assert {asset.name for asset in found.inlets} <= {f"{schema}.{file.table}" for file in dataset.files}
    groups = {asset.group for task in dag.tasks for asset in (*task.inlets, *task.outlets)}
    assert groups == {dataset.models, "warehouse"}


@pytest.mark.parametrize("trips", TRIPS.values(), ids=TRIPS)
@pytest.mark.parametrize(("mart", "raw"), [("fct_months", "raw_trips"), ("dim_zones", "raw_zones")])
def test_a_published_table_comes_from_the_raw_table_of_its_slice(dagbag: DagBag, trips: Dataset, mart: str, raw: str):
    task = dagbag.dags[trips.dag_id].get_task(f"publish.{mart}.run")
    assert [asset.name for asset in task.inlets] == [f"{trips.published_schema()}.{raw}"]


def test_unit_tests_and_python_files_stay_out_of_the_runs(dag):
    assert all("unit_test" in task.exclude for task in dag.tasks if task.task_id.endswith("test"))
    assert list((ROOT / "dbt").glob("**/*.py")) == []


def test_dag_files_only_wire():
    for file in (ROOT / "dags").glob("*.py"):
        assert not file.name.startswith("dbt_"), "dbt imports such files"
        for word in ("sys.path", "select ", "requests", "strftime"):
            assert word not in file.read_text(), f"{word} in {file.name}"


@pytest.mark.parametrize("month", ["2024-01", "2013-08", None])
def test_the_trigger_form_takes_a_month_or_nothing(dag, month: str | None):
    dag.params.get_param("month").resolve(month)


@pytest.mark.parametrize("version", ["0123abcd", "0" * 64, "source", None])
def test_the_trigger_form_takes_the_first_digits_of_a_kept_version(dag, version: str | None):
    dag.params.get_param("version").resolve(version)


@pytest.mark.parametrize("version", ["", "0123abc", "0123ABCD", "sources", "previous", "0" * 65, "0123abcd' or true"])
def test_the_trigger_form_refuses_what_is_no_version(dag, version: str):
    with pytest.raises(Exception, match=r"is not valid|does not match"):
        dag.params.get_param("version").resolve(version)


@pytest.mark.parametrize("accept", ["reject_share_is_plausible", "one, another", "one another", "", None])
def test_the_trigger_form_takes_names_of_audits_and_a_reason(dag, accept: str | None):
    dag.params.get_param("accept").resolve(accept)
    dag.params.get_param("reason").resolve("flood in the Bronx; TLC says so")


def test_the_trigger_form_refuses_what_is_no_name_and_a_reason_that_nobody_would_read(dag):
    for param, value in (("accept", "one; another"), ("accept", "test.taxi.one"), ("reason", "x" * 501)):
        with pytest.raises(Exception, match=r"does not match|is too long"):
            dag.params.get_param(param).resolve(value)


def test_a_month_s_restatement_begins_a_run_for_the_month_alone(dagbag: DagBag, dataset: Dataset):
    dag = dagbag.dags["taxi_restatements"]
    assert dag.max_active_runs == 1
    load = dag.get_task(f"load_{dataset.name}_again.load")
    assert load.trigger_dag_id == dataset.dag_id
    assert (set(load.conf), load.skip_when_already_exists, load.logical_date) == ({"month"}, True, None)
    assert load.upstream_task_ids == {f"find_restated_{dataset.name}"}


@pytest.mark.parametrize("month", ["2024-13", "2024-1", "24-01", "January", "2024-01-01", "2024-01'; drop table x"])
def test_the_trigger_form_refuses_what_is_not_a_month(dag, month: str):
    with pytest.raises(Exception, match="does not match"):
        dag.params.get_param("month").resolve(month)
