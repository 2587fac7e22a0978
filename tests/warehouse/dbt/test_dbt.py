"""The dbt project on a real Postgres, by plain dbt: what it publishes, and what it refuses to."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest

from include.month import Month
from include.warehouse.partitions import partition_of
from tests.support.dbt.project import ROWS, Done, Project
from tests.support.postgres.warehouse_content import content, query
from tests.support.until import until


def test_a_month_is_built_audited_and_published_with_every_row_accounted_for(project: Project):
    project.load("2024-01")
    done = project.dbt("build", month="2024-01", plain=True)  # the unit tests of every rule included
    assert done.returncode == 0, done.output
    [(rows, accepted, rejected, trips, rejected_trips, by_zone)] = query(
        project.dsn,
        """
        select rows_in_file, rows_accepted, rows_rejected,
            (select count(*) from airflow_default.fct_trips),
            (select count(*) from airflow_default.fct_rejected_trips),
            (select sum(trips) from airflow_default.fct_zone_days)
        from airflow_default.fct_months
        """,
    )
    assert (rows, accepted, rejected) == (ROWS, trips, rejected_trips)
    assert accepted + rejected == rows
    assert by_zone == accepted
    assert rejected > 0, "the sample is made with rows to reject"
    assert query(project.dsn, "select count(*) from airflow_default.dim_zones") == [(265,)]


def test_building_a_month_again_changes_nothing_not_even_when_it_was_published(built: Project):
    published_at = "select published_at from airflow_default.fct_months"
    before, at = content(built.dsn), query(built.dsn, published_at)
    built.load("2024-01")
    assert built.build("2024-01").returncode == 0
    assert content(built.dsn) == before
    assert query(built.dsn, published_at) == at


def test_a_month_that_is_published_again_with_the_same_rows_writes_none(built: Project):
    written = "select xmin::text, ctid::text from airflow_default.fct_trips order by source_row"
    before = query(built.dsn, written)
    done = built.build("2024-01")
    assert "fct_trips holds exactly these rows already" in done.output
    assert query(built.dsn, written) == before


@pytest.mark.parametrize(
    "damage",
    [
        "delete from airflow_default.fct_trips where source_row = 7",
        "update airflow_default.fct_trips set tip_amount = tip_amount + 0.01 where source_row = 7",
        "update airflow_default.fct_trips set fare_amount = -fare_amount where source_row = 7",
        "update airflow_default.fct_trips set source_row = 100000 where source_row = 7",
        "update airflow_default.dim_zones set borough = 'Jersey' where zone_id = 7",
    ],
)
def test_published_rows_that_were_changed_by_hand_are_replaced(built: Project, damage: str):
    before = content(built.dsn)
    query(built.dsn, damage)
    assert content(built.dsn) != before
    assert built.build("2024-01").returncode == 0
    assert content(built.dsn) == before


def test_a_table_that_an_earlier_version_published_gets_the_columns_it_lacks(built: Project):
    before = content(built.dsn)
    query(built.dsn, "drop view airflow_default.all_trips")
    query(built.dsn, "alter table airflow_default.fct_trips drop column airport_fee")
    built.load("2023-12")
    for month in ("2023-12", "2024-01"):
        done = built.build(month)
        assert done.returncode == 0, done.output
    assert content(built.dsn, month="2024-01") == before


def test_the_view_of_all_datasets_is_made_again_where_it_is_missing_and_the_table_is_whole(built: Project):
    view = "select to_regclass('airflow_default.all_trips') is not null"
    query(built.dsn, "drop view airflow_default.all_trips")
    query(built.dsn, "alter table airflow_default.fct_trips drop column airport_fee")
    for is_there in (False, True):  # the first run adds the column, the second makes the view
        assert built.dbt("run", "--select", "fct_trips", month="2024-01").returncode == 0
        assert query(built.dsn, view) == [(is_there,)]
    assert query(built.dsn, "select count(*) > 0 from airflow_default.all_trips") == [(True,)]


def test_the_loader_and_dbt_name_partitions_alike(built: Project):
    published = ("fct_trips", "fct_rejected_trips", "fct_zone_days", "fct_month_profile", "fct_months")
    found = query(built.dsn, "select tablename from pg_tables where schemaname = 'airflow_default_partitions'")
    assert {name for (name,) in found} == {
        partition_of(table, Month.parse("2024-01")) for table in ("raw_trips", *published)
    }


def test_months_built_all_at_once_into_an_empty_warehouse_equal_months_built_one_by_one(project: Project):
    months = ["2023-01", "2023-12", "2024-01", "2025-01"]
    for month in months:
        project.load(month)
    with ThreadPoolExecutor() as pool:
        for done in pool.map(project.build, months):
            assert done.returncode == 0, done.output
    one_by_one = replace(project, schema="airflow_one_by_one")
    for month in reversed(months):
        one_by_one.load(month)
        assert one_by_one.build(month).returncode == 0
    assert content(project.dsn, schema="airflow_one_by_one") == content(project.dsn)


@pytest.mark.parametrize(
    ("planted", "audit"),
    [
        # one row in ten with an odometer for a distance: more than is plausible
        (
            "update airflow_default.raw_trips set trip_distance = 100000 where source_row % 10 = 0",
            "reject_share_is_plausible",
        ),
        # an audit of one table holds back the others too
        (
            "insert into airflow_default.raw_zones select * from airflow_default.raw_zones limit 1",
            "int_zones_zone_id_unique",
        ),
    ],
    ids=["trips", "zones"],
)
def test_a_failing_audit_keeps_the_month_out_of_every_table_and_the_previous_version_in(
    built: Project, planted: str, audit: str
):
    before = content(built.dsn)
    built.load("2024-01", version=2)
    query(built.dsn, planted)
    done = built.build("2024-01")
    assert done.returncode == 1
    assert audit in done.output
    assert content(built.dsn) == before


@pytest.mark.parametrize("one_in", [2, 10, 50])
@pytest.mark.parametrize("months", [-1, 1, 12])
def test_a_file_that_is_partly_another_months_is_not_published(built: Project, one_in: int, months: int):
    before = content(built.dsn)
    built.load("2024-01", version=2)
    query(
        built.dsn,
        "update airflow_default.raw_trips set lpep_pickup_datetime = lpep_pickup_datetime + %s * interval '1 month', "
        "lpep_dropoff_datetime = lpep_dropoff_datetime + %s * interval '1 month' where source_row %% %s = 0",
        months,
        months,
        one_in,
    )
    done = built.build("2024-01")
    assert done.returncode == 1
    assert "pickups_are_of_the_month" in done.output
    assert f"pickup_month={Month.parse('2024-01').plus(months).ds}, rows=" in done.output
    assert content(built.dsn) == before


def wait_until_blocked(project: Project, holder: psycopg.Connection, invocations: list[Future[Done]]) -> None:
    """Waits until each invocation of dbt is blocked by the holder, or by another one that is."""
    blocked = """
        with recursive blocked as (
            select %s::integer as pid
            union
            select activity.pid from pg_stat_activity as activity
            inner join blocked on blocked.pid = any(pg_blocking_pids(activity.pid))
        )
        select count(*) - 1 from blocked
    """

    def all_wait(sessions: int) -> bool:
        if sessions >= len(invocations):
            return True
        for invocation in invocations:
            assert not invocation.done(), invocation.result().output
        return False

    until(lambda: query(project.dsn, blocked, holder.info.backend_pid)[0][0], all_wait, seconds=120, every=0.05)


@pytest.mark.parametrize("lock", ["create", "fct_trips/2024-01-01", "dim_zones"])
def test_what_sessions_would_fight_over_is_done_by_one_at_a_time(project: Project, lock: str):
    project.load("2024-01")
    with ThreadPoolExecutor() as pool, psycopg.connect(project.dsn) as holder:
        holder.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"airflow_default/{lock}"])
        build = pool.submit(project.build, "2024-01")
        wait_until_blocked(project, holder, [build])
        holder.rollback()
        assert build.result().returncode == 0, build.result().output


def test_a_partition_that_another_session_made_while_this_one_waited_is_not_made_again(built: Project):
    built.load("2023-12")
    twice = {"airflow_default_20231201": {}, "airflow_default_20231201_0123abcd": {}}
    for schema, environment in twice.items():
        environment |= {"PG_RUN_SCHEMA": schema, "DBT_TARGET_PATH": str(built.target / schema)}
        done = built.build("2023-12", "--select", "staging", "intermediate", "source:*", **environment)
        assert done.returncode == 0, done.output
    with ThreadPoolExecutor() as pool, psycopg.connect(built.dsn) as holder:
        holder.execute("select pg_advisory_xact_lock(hashtextextended('airflow_default/fct_trips/2023-12-01', 0))")
        publications = [
            pool.submit(built.dbt, "run", "--select", "marts", month="2023-12", **environment)
            for environment in twice.values()
        ]
        # the partition is not there yet, and both are about to look for it
        wait_until_blocked(built, holder, publications)
        holder.rollback()
        for publication in publications:
            assert publication.result().returncode == 0, publication.result().output


def test_a_restated_month_replaces_the_rows_it_had_and_no_other_months(built: Project):
    built.load("2023-12")
    assert built.build("2023-12").returncode == 0
    december = "select sum(total_amount), count(*) from airflow_default.fct_trips where source_month = '2023-12-01'"
    before, kept = content(built.dsn), query(built.dsn, december)
    built.load("2024-01", version=2)
    assert built.build("2024-01").returncode == 0
    assert content(built.dsn) != before
    assert query(built.dsn, december) == kept


def test_a_month_whose_trips_are_all_rejected_empties_its_tables(built: Project):
    query(built.dsn, "update airflow_default.raw_trips set trip_distance = 100000")
    # in spite of the audit that would stop it
    done = built.build_in_spite_of("reject_share_is_plausible", "2024-01")
    assert done.returncode == 0, done.output
    counts = (
        "select (select count(*) from airflow_default.fct_trips), (select count(*) from airflow_default.fct_zone_days)"
    )
    assert query(built.dsn, counts) == [(0, 0)]
    assert query(built.dsn, "select rows_accepted, rows_rejected from airflow_default.fct_months") == [(0, ROWS)]


def test_a_slice_overtaken_by_a_newer_load_is_not_published(built: Project):
    built.load("2024-01", version=2)
    assert built.build("2024-01").returncode == 0
    newest = content(built.dsn)
    built.load("2024-01", version=1)  # a run that loads …
    done = built.build("2024-01", "--select", "staging", "intermediate")
    assert done.returncode == 0, done.output
    built.load("2024-01", version=2)  # … and is overtaken before it publishes
    done = built.dbt("run", "--select", "marts", month="2024-01")
    assert done.returncode == 0, done.output
    assert "fct_trips left as it was" in done.output
    assert content(built.dsn) == newest
    # and no audit or test of it fails
    assert built.dbt("test", "--exclude-resource-type", "unit_test", month="2024-01").returncode == 0


def test_a_slice_beside_one_of_a_newer_file_is_not_published_and_its_tests_hold_nothing_against_it(built: Project):
    before = content(built.dsn, ("fct_zone_days",))
    built.load("2024-01", version=2)
    done = built.dbt("run", "--select", "int_trips_judged", month="2024-01")
    assert done.returncode == 0, done.output
    done = built.dbt("test", "--select", "int_zone_days", "--exclude-resource-type", "unit_test", month="2024-01")
    assert done.returncode == 0, done.output
    done = built.dbt("run", "--select", "fct_zone_days", month="2024-01")
    assert "fct_zone_days left as it was" in done.output
    assert content(built.dsn, ("fct_zone_days",)) == before


def test_a_full_refresh_of_one_month_leaves_the_others(built: Project):
    built.load("2023-12")
    done = built.build("2023-12", DBT_FULL_REFRESH="true")
    assert done.returncode == 0, done.output
    assert query(built.dsn, "select count(*) from airflow_default.fct_months") == [(2,)]


def test_one_model_built_again_alone_leaves_the_tables_as_they_were(built: Project):
    before = content(built.dsn)
    for model in ("int_trips_judged", "fct_trips", "fct_months"):
        done = built.dbt("build", "--select", model, "--exclude-resource-type", "unit_test", month="2024-01")
        assert done.returncode == 0, done.output
    assert content(built.dsn) == before


def test_rows_that_break_a_contract_are_refused_whole(built: Project):
    before = content(built.dsn)
    # as many as there were: other numbers of rows are refused before
    query(
        built.dsn,
        "update airflow_default_20240101.int_trips_judged as one set source_row = other.source_row "
        "from airflow_default_20240101.int_trips_judged as other "
        "where one.source_row = (select min(source_row) from airflow_default_20240101.int_trips_judged "
        "where rejection_reason is null) and other.source_row = one.source_row + 1",
    )
    done = built.dbt("run", "--select", "fct_trips", month="2024-01")
    assert done.returncode == 1
    assert "duplicate key" in done.output
    assert content(built.dsn) == before


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (["build"], {}, "Which month? Pass a date of it: --vars '{ds: 2024-01-01}'"),
        (["build", "--vars", "{ds: January}"], {}, "ds is now: January"),
        (
            ["build", "--vars", "{ds: 2024-02-01}"],
            {"PG_RUN_SCHEMA": "airflow_default_20240101"},
            "PG_RUN_SCHEMA=airflow_default_20240101 is not a schema of airflow_default for ds=2024-02-01",
        ),
        (
            ["build", "--vars", "{ds: 2024-01-01}"],
            {"PG_SCHEMA": "airflow_default_20240101"},
            "PG_SCHEMA=airflow_default_20240101 reads like the schema of a run",
        ),
    ],
)
def test_a_month_that_is_missing_or_contradicted_is_said_to_be_and_nothing_is_made(
    project: Project, arguments: list[str], environment: dict[str, str], says: str
):
    done = project.dbt(*arguments, **environment)
    assert done.returncode != 0
    assert says in done.output
    assert query(project.dsn, "select nspname from pg_namespace where nspname like 'airflow%'") == []


def test_another_run_schema_may_be_named(built: Project):
    before = content(built.dsn)
    done = built.build("2024-01", PG_RUN_SCHEMA="airflow_default_20240101_0123abcd")
    assert done.returncode == 0, done.output
    assert content(built.dsn) == before
    assert query(built.dsn, "select count(*) from airflow_default_20240101_0123abcd.int_trips_judged") == [(ROWS,)]


@pytest.mark.parametrize("command", [("run", "int_zone_days"), ("run", "fct_trips"), ("test", "fct_trips")])
def test_a_dropped_run_schema_is_answered_by_what_to_do(built: Project, command: tuple[str, str]):
    query(built.dsn, "drop schema airflow_default_20240101 cascade")
    before = content(built.dsn)
    done = built.dbt(command[0], "--select", command[1], month="2024-01")
    assert done.returncode != 0
    assert "Clear the whole month, from load_month on" in done.output
    assert content(built.dsn) == before


def test_a_month_nobody_loaded_is_refused(built: Project):
    done = built.build("2024-02")
    assert done.returncode == 1
    assert "month_and_zones_are_loaded" in done.output
    assert query(built.dsn, "select source_month::text from airflow_default.fct_months") == [("2024-01-01",)]


def test_an_unreachable_database_is_named(project: Project):
    done = project.dbt("build", month="2024-01", PG_PORT="1")
    assert done.returncode != 0
    assert "onnection refused" in done.output
