"""Published rows are replaced only from slices that every audit of theirs has passed on, whoever runs what."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from include.settings import DBT_MANIFEST, DBT_PROJECT
from tests.support.dbt.project import Project
from tests.support.postgres.warehouse_content import content, query

RUN_SCHEMA = "airflow_default_20240101"
NO_UNIT_TESTS = ("--exclude-resource-type", "unit_test")


def judged_from_a_newer_file(project: Project) -> None:
    """As when a model of an older run is cleared alone after another run has loaded a newer file."""
    project.load("2024-01", version=2)
    assert project.dbt("run", "--select", "int_trips_judged", month="2024-01").returncode == 0


def refused(project: Project, mart: str = "fct_trips", **environment: str) -> str:
    """The output of a publication that must fail, and leave every table as it was."""
    before = content(project.dsn)
    done = project.dbt("run", "--select", mart, month="2024-01", **environment)
    assert done.returncode == 1, done.output
    assert content(project.dsn) == before
    return done.output


def test_a_model_cleared_alone_after_a_newer_load_is_not_published_before_its_audits_have_run(built: Project):
    judged_from_a_newer_file(built)
    says = refused(built)
    assert "not run on these rows: " in says
    assert "reject_share_is_plausible" in says
    # an audit of the zones alone, which did not change
    assert "int_zones_zone_id_unique" not in says
    assert built.build("2024-01").returncode == 0


def test_a_model_made_anew_from_amounts_of_another_sign_is_not_published_before_its_audits_have_run(built: Project):
    """Postgres' hash of a number leaves out its sign."""
    query(built.dsn, "update airflow_default.raw_trips set fare_amount = -fare_amount")
    assert built.dbt("run", "--select", "int_trips_judged", month="2024-01").returncode == 0
    assert "not run on these rows: " in refused(built)


def test_rows_whose_audits_failed_in_another_run_are_not_published_from_this_one(built: Project):
    query(built.dsn, "update airflow_default.raw_trips set trip_distance = 100000 where source_row % 10 = 0")
    other_run = {"PG_RUN_SCHEMA": f"{RUN_SCHEMA}_0123abcd", "DBT_TARGET_PATH": str(built.target / "other")}
    assert built.build("2024-01", **other_run).returncode == 1
    assert built.dbt("run", "--select", "int_trips_judged", month="2024-01").returncode == 0
    assert "failed: every" not in (says := refused(built))
    assert "failed: reject_share_is_plausible" in says


def test_rows_that_another_run_has_audited_are_published_from_this_one(built: Project):
    built.load("2024-01", version=2)
    other_run = {"PG_RUN_SCHEMA": f"{RUN_SCHEMA}_0123abcd", "DBT_TARGET_PATH": str(built.target / "other")}
    assert built.build("2024-01", **other_run).returncode == 0
    newest = content(built.dsn)
    done = built.dbt("run", "--select", "staging", "intermediate", month="2024-01")
    assert done.returncode == 0, done.output
    done = built.dbt("run", "--select", "marts", month="2024-01")
    assert done.returncode == 0, done.output
    assert content(built.dsn) == newest


def test_a_month_loaded_again_while_its_run_goes_on_is_published(built: Project):
    """As when load_month is cleared alone: the tests of the raw tables have run before."""
    built.load("2024-01", version=2)
    of_raw_tables = ("raw_trips_hold_the_rows_that_were_logged", "month_and_zones_are_loaded")
    done = built.build("2024-01", "--select", "staging", "intermediate", "--exclude", *of_raw_tables)
    assert done.returncode == 0, done.output
    done = built.dbt("run", "--select", "marts", month="2024-01")
    assert done.returncode == 0, done.output
    # but not if such a test has failed on that file
    query(built.dsn, "update airflow_default.load_log set rows = rows + 1")
    assert built.dbt("test", "--select", "raw_trips_hold_the_rows_that_were_logged", month="2024-01").returncode == 1
    query(built.dsn, "update airflow_default.load_log set rows = rows - 1")
    assert "failed: raw_trips_hold_the_rows_that_were_logged" in refused(built)


def test_an_audit_counts_for_the_rows_it_has_seen_together(built: Project):
    judged_from_a_newer_file(built)
    done = built.dbt("test", "--select", "int_trips_judged", *NO_UNIT_TESTS, month="2024-01")
    assert done.returncode == 0, done.output
    # both tables were audited, but the one that is compared with the trips was made anew since
    assert built.dbt("run", "--select", "int_zone_days", month="2024-01").returncode == 0
    says = refused(built, "fct_zone_days")
    assert "zone_days_sum_to_the_trips" in says
    assert "reject_share_is_plausible" not in says


def test_an_audit_that_fails_on_rows_it_had_passed_takes_that_back(built: Project):
    query(built.dsn, "delete from airflow_default.raw_trips where source_row = 7")
    done = built.dbt("test", "--select", "every_raw_row_is_judged", month="2024-01")
    assert done.returncode == 1
    assert "failed: every_raw_row_is_judged" in refused(built)


@pytest.mark.parametrize(
    ("slice", "mart"),
    [("int_trips_judged", "fct_trips"), ("int_zone_days", "fct_zone_days"), ("int_zones", "dim_zones")],
)
@pytest.mark.parametrize("damage", ["truncate {}", "delete from {} where ctid in (select ctid from {} limit 3)"])
def test_a_slice_that_has_lost_rows_is_an_error(built: Project, slice: str, mart: str, damage: str):
    query(built.dsn, damage.replace("{}", f"{RUN_SCHEMA}.{slice}"))
    assert f'"{slice}" has ' in refused(built, mart)


MADE_ANEW = {
    "int_trips_judged": ("delete from airflow_default.raw_trips", "fct_trips"),
    "int_zone_days": (f"truncate {RUN_SCHEMA}.int_trips_judged", "fct_zone_days"),
    "int_month_profile": (f"truncate {RUN_SCHEMA}.int_trips_judged", "fct_month_profile"),
    "int_months": (f"truncate {RUN_SCHEMA}.int_trips_judged", "fct_months"),
}


@pytest.mark.parametrize("slice", MADE_ANEW)
def test_a_month_is_not_emptied_by_a_slice_made_anew_from_what_was_emptied(built: Project, slice: str):
    damage, mart = MADE_ANEW[slice]
    query(built.dsn, damage)
    built.dbt("build", "--select", slice, *NO_UNIT_TESTS, month="2024-01")
    # though every audit had passed on it
    query(built.dsn, "update airflow_default.audit_log set passed = true")
    says = refused(built, mart)
    assert re.search(r'"int_trips_judged" has 0 rows, and (the file of the month has|was made with)', says), says


def test_rows_added_to_a_slice_by_hand_are_not_published(built: Project):
    query(built.dsn, f"insert into {RUN_SCHEMA}.int_zone_days select * from {RUN_SCHEMA}.int_zone_days limit 1")
    assert '"int_zone_days" has ' in refused(built, "fct_zone_days")


def test_a_verdict_on_stored_failures_does_not_count(built: Project):
    """dbt stores them, then reads them: the slice may have been made anew in between."""
    query(built.dsn, "truncate airflow_default.audit_log")
    done = built.build("2024-01", "--select", "staging", "intermediate", "--store-failures")
    assert done.returncode == 0, done.output
    assert query(built.dsn, "select count(*) from airflow_default.audit_log") == [(0,)]
    assert "not run on these rows: " in refused(built)


def test_an_audit_fails_on_judged_trips_that_were_emptied(built: Project):
    query(built.dsn, f"truncate {RUN_SCHEMA}.int_trips_judged")
    done = built.dbt("test", "--select", "every_raw_row_is_judged", month="2024-01")
    assert done.returncode == 1, done.output


def test_a_slice_of_which_it_is_not_known_what_it_held_is_not_published(built: Project):
    query(built.dsn, f"comment on table {RUN_SCHEMA}.int_trips_judged is null")
    assert 'what "airflow_default_20240101"."int_trips_judged" held when it was made is not known' in refused(built)


def test_the_tests_that_guard_a_mart_are_those_of_all_it_derives_from():
    """Those that dbt's graph gives; no list of them stands anywhere."""
    nodes = json.loads(DBT_MANIFEST.read_text())["nodes"]
    models = {id: node for id, node in nodes.items() if node["resource_type"] == "model"}
    for mart in (id for id, node in models.items() if node["fqn"][1] == "marts"):
        ancestors, found = set(), [mart]
        while found:
            node = found.pop()
            ancestors.add(node)
            found += nodes.get(node, {"depends_on": {"nodes": []}})["depends_on"]["nodes"]
        own = nodes[mart]["fqn"][2]
        slices = {id for id, node in models.items() if node["fqn"][1:3] == ["intermediate", own]}
        assert slices <= ancestors, f"{mart} does not wait for {slices - ancestors}: after_every_audit_of"


Changed = tuple[Project, dict[str, str]]


@pytest.fixture
def with_a_fifth_slice(built: Project, tmp_path: Path) -> Changed:
    """The project with one more slice, whose audit fails, and a mart made from it, both written as a newcomer would.

    The second is the environment in which dbt runs it.
    """
    folder = tmp_path / "dbt"
    for file in DBT_PROJECT.rglob("*"):
        if file.is_file() and file.parent.name != "target" and file.suffix in {".sql", ".yml", ".md"}:
            copy = folder / file.relative_to(DBT_PROJECT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    config = {"meta": {"slice": "int_hours"}}
    models = {
        "intermediate/tlc/int_hours": ("select source_month, file_id from {{ ref('int_months') }}", {}, ["is_right"]),
        "marts/tlc/fct_hours": ("select source_month from {{ ref('int_hours') }}", config, []),
    }
    for path, (sql, config, tests) in models.items():
        (folder / "models" / f"{path}.sql").write_text(sql)
        column = {"name": "source_month", "data_type": "date"}
        model = {"name": path.split("/")[2], "config": config, "columns": [column], "data_tests": tests}
        (folder / "models" / f"{path}.yml").write_text(yaml.safe_dump({"models": [model]}))
    (folder / "tests" / "generic" / "is_right.sql").write_text("{% test is_right(model) %} select 1 {% endtest %}")
    return built, {"DBT_PROJECT_DIR": str(folder), "DBT_TARGET_PATH": str(tmp_path / "target")}


def test_a_new_slice_is_gated_by_its_tests_without_a_word_of_it(with_a_fifth_slice: Changed):
    project, environment = with_a_fifth_slice
    done = project.build("2024-01", **environment)
    assert done.returncode == 1
    assert "is_right_int_hours" in done.output
    done = project.dbt("run", "--select", "fct_hours", month="2024-01", **environment)
    assert done.returncode == 1
    assert "failed: is_right_int_hours" in done.output
    assert query(project.dsn, "select count(*) from airflow_default.fct_hours") == [(0,)]


def test_a_mart_that_makes_rows_of_another_month_publishes_none(with_a_fifth_slice: Changed):
    project, environment = with_a_fifth_slice
    folder = Path(environment["DBT_PROJECT_DIR"])
    (folder / "tests" / "generic" / "is_right.sql").write_text(
        "{% test is_right(model) %} select 1 where false {% endtest %}"
    )
    another = "select (source_month - interval '1 month')::date as source_month from {{ ref('int_hours') }}"
    (folder / "models" / "marts" / "tlc" / "fct_hours.sql").write_text(another)
    done = project.build("2024-01", "--select", "+fct_hours", **environment)
    assert done.returncode == 1
    assert 'violates check constraint "of_the_month"' in done.output
    assert query(project.dsn, "select count(*) from airflow_default.fct_hours") == [(0,)]


@pytest.mark.parametrize(
    ("column", "what"),
    [
        ({"data_type": "varchar(3)"}, "type varchar(3) of column source_month"),
        ({"data_type": "numeric(5)"}, "type numeric(5) of column source_month"),
        ({"data_type": "date", "constraints": [{"type": "unique"}]}, "constraint unique of column source_month"),
    ],
)
def test_a_contract_that_no_audit_understands_is_an_error(with_a_fifth_slice: Changed, column: dict, what: str):
    project, environment = with_a_fifth_slice
    models = Path(environment["DBT_PROJECT_DIR"]) / "models"
    mart, slice = models / "marts" / "tlc" / "fct_hours.yml", models / "intermediate" / "tlc" / "int_hours.yml"
    declared, audited = yaml.safe_load(mart.read_text()), yaml.safe_load(slice.read_text())
    declared["models"][0]["columns"][0] |= column
    audited["models"][0]["data_tests"] = [{"fits_contract": {"arguments": {"mart": "fct_hours"}}}]
    mart.write_text(yaml.safe_dump(declared))
    slice.write_text(yaml.safe_dump(audited))
    done = project.build("2024-01", "--select", "int_hours", **environment)
    assert done.returncode == 1
    assert f"The contract of fct_hours has the {what}, and no audit knows" in done.output


def test_a_failing_audit_names_what_to_look_at_and_rows_that_failed(built: Project):
    query(built.dsn, f"update {RUN_SCHEMA}.int_trips_judged set tip_amount = 1.234 where source_row = 17")
    done = built.dbt("test", "--select", "trips_fit_the_contract_of_fct_trips", month="2024-01")
    assert "trips_fit_the_contract_of_fct_trips: Guards against a value" in done.output
    assert "column_name=tip_amount, value=1.234" in done.output
    assert '"source_row": 17' in done.output


def test_a_zone_that_does_not_resolve_is_named_with_its_row(built: Project):
    query(built.dsn, f"update {RUN_SCHEMA}.int_trips_judged set dropoff_zone_id = 999 where source_row = 17")
    done = built.dbt("test", "--select", "int_trips_judged_dropoff_zones_resolve", month="2024-01")
    assert "source_row=17, dropoff_zone_id=999" in done.output
