"""The month and every name that derives from it."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from include.month import FIRST_MONTH, Month, MonthError, month_of, parquet_url_for, refuse_date_of_today, run_schema_of
from include.settings import ROOT, STUDENT_MAX_LENGTH, published_schema

# the same examples each time, however slow the machine
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")

days = st.dates(date(1900, 1, 1), date(2200, 12, 31))
months = days.map(Month.containing)
JANUARY = Month.parse("2024-01")
NEW_YORK_WINTER = timezone(timedelta(hours=-5))


def dag_run(
    logical_date: datetime | None, run_id: str = "manual__1", run_type: str = "manual", conf: dict | None = None
):
    """What the functions read of Airflow's DagRun."""
    return SimpleNamespace(logical_date=logical_date, run_id=run_id, run_type=run_type, conf=conf)


# ---------- the calendar


@given(months)
def test_a_month_reads_back_from_its_text(month):
    assert Month.parse(str(month)) == month


@pytest.mark.parametrize(
    "text",
    ["", "2024", "2024-1", "2024-13", "2024-00", "2024-01-01", "202401", " 2024-01", "2024-01\n", "24-01", "0000-01"],
)
def test_text_of_another_form_is_refused(text):
    with pytest.raises(MonthError):
        Month.parse(text)


def test_the_refusal_quotes_the_text_and_shows_the_form():
    with pytest.raises(MonthError, match=r"'01/2024'.*YYYY-MM"):
        Month.parse("01/2024")


def test_a_month_begins_on_its_first_day():
    with pytest.raises(MonthError):
        Month(date(2024, 1, 2))


@given(days)
def test_a_day_lies_between_its_months_bounds(day):
    month = Month.containing(day)
    assert month.start <= datetime(day.year, day.month, day.day, tzinfo=UTC) < month.end


@given(months)
def test_a_month_ends_where_the_next_begins(month):
    assert month.end == month.plus(1).start


@given(months, st.integers(-500, 500))
def test_adding_months_is_undone_by_subtracting_them(month, count):
    assert month.plus(count).plus(-count) == month


@given(months, st.integers(-500, 500))
def test_later_months_sort_after_earlier_ones(month, count):
    later = month.plus(count)
    assert (later > month, later == month, later < month) == (count > 0, count == 0, count < 0)
    assert sorted([str(later), str(month)]) == [str(each) for each in sorted([later, month])]


@pytest.mark.parametrize(
    ("month", "count", "result"),
    [("2023-12", 1, "2024-01"), ("2024-01", -1, "2023-12"), ("2023-11", 14, "2025-01"), ("2024-01", -13, "2022-12")],
)
def test_adding_months_carries_into_other_years(month, count, result):
    assert str(Month.parse(month).plus(count)) == result


@pytest.mark.parametrize(
    "day",
    [
        "2024-01-01",
        "2024-01-31",
        "2024-01-31T23:59:59+00:00",
        "2024-01-01T00:00:00Z",
        date(2024, 1, 15),
        datetime(2024, 1, 31, 23, 59),
        datetime(2023, 12, 31, 19, tzinfo=NEW_YORK_WINTER),
        datetime(2024, 1, 31, 18, 59, tzinfo=NEW_YORK_WINTER),
    ],
)
def test_a_day_is_taken_in_utc(day):
    assert Month.containing(day) == JANUARY


def test_an_evening_in_new_york_can_be_the_next_month_in_utc():
    assert Month.containing(datetime(2024, 1, 31, 19, tzinfo=NEW_YORK_WINTER)) == JANUARY.plus(1)


@pytest.mark.parametrize("text", ["", "january", "2024-01-32"])
def test_text_that_is_no_date_is_refused(text):
    with pytest.raises(MonthError, match="ISO date"):
        Month.containing(text)


def test_the_dates_for_dbt_and_for_schema_names_are_the_first_of_the_month():
    assert (JANUARY.ds, JANUARY.ds_nodash) == ("2024-01-01", "20240101")


# ---------- the source's address


@pytest.mark.parametrize("ds", ["2024-01-01", "2024-01-31", date(2024, 1, 17)])
def test_the_url_is_that_of_the_month_any_of_its_days_lies_in(ds):
    assert parquet_url_for(ds) == "https://d37ci6vzurychx.cloudfront.net/trip-data/green_tripdata_2024-01.parquet"


@pytest.mark.parametrize("base_url", ["http://mirror:8000", "http://mirror:8000/"])
def test_the_url_follows_the_base_url(base_url):
    assert parquet_url_for("2024-01-01", base_url) == "http://mirror:8000/trip-data/green_tripdata_2024-01.parquet"


def test_the_url_is_to_be_had_without_airflow():
    program = (
        "import sys; from include.month import parquet_url_for; print(parquet_url_for('2024-02-29'));"
        "import include.settings; sys.exit('airflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("/green_tripdata_2024-02.parquet\n")


# ---------- the month and the schema of a run


TO_GIVE = 'trigger the DAG with {"month": "2024-01"}'
RUN_TYPES = ("scheduled", "backfill", "manual", "operator_triggered", "asset_triggered", "asset_materialization")


@pytest.mark.parametrize(
    ("param", "logical_date", "month"),
    [
        ("2023-11", datetime(2024, 1, 1, tzinfo=UTC), "2023-11"),
        ("2023-11", None, "2023-11"),
        (None, datetime(2024, 1, 1, tzinfo=UTC), "2024-01"),
        ("", datetime(2024, 1, 9, 7, 30, tzinfo=UTC), "2024-01"),
        (None, datetime(2023, 12, 31, 19, tzinfo=NEW_YORK_WINTER), "2024-01"),
    ],
)
def test_the_param_goes_before_the_logical_date(param, logical_date, month):
    assert str(month_of(dag_run(logical_date), {"month": param})) == month


@pytest.mark.parametrize("run_type", RUN_TYPES)
@pytest.mark.parametrize("params", [{}, {"month": None}, {"month": ""}])
def test_a_run_with_neither_is_refused_with_what_to_give(run_type, params):
    with pytest.raises(MonthError, match=f"This run has neither month nor a logical date.*{TO_GIVE}"):
        month_of(dag_run(None, run_type=run_type), params)


@given(
    st.sampled_from(RUN_TYPES),
    st.dictionaries(st.text().filter(lambda key: key != "month" and "/" not in key), st.none() | st.text(), min_size=1),
    st.sampled_from([{}, {"month": "2024-01"}]),
)
@example("manual", {"mnth": "2024-01"}, {})
@example("backfill", {"Month": "2024-01"}, {"month": "2024-01"})
def test_a_key_that_nothing_reads_is_refused_by_name_on_every_kind_of_run(run_type, unknown, known):
    run = dag_run(JANUARY.start, run_type=run_type, conf=unknown | known)
    with pytest.raises(MonthError) as refusal:
        month_of(run, unknown | known)
    assert all(repr(key) in str(refusal.value) for key in unknown)


@pytest.mark.parametrize("conf", [None, {}, {"month": "2024-01"}, {"airflow/task_span_detail_level": 1}])
def test_the_month_and_airflows_own_keys_are_no_unknown_ones(conf):
    assert month_of(dag_run(JANUARY.start, conf=conf), {"month": (conf or {}).get("month")}) == JANUARY


@given(st.sampled_from(["scheduled", "backfill"]), months, months)
def test_a_run_airflow_made_for_a_month_may_be_told_that_one_alone(run_type, dated, told):
    run = dag_run(dated.start, run_type=run_type, conf={"month": str(told)})
    if dated == told:
        assert month_of(run, run.conf) == dated
    else:
        with pytest.raises(MonthError, match=f"This run is for {dated}, .* says {told}. Leave month empty"):
            month_of(run, run.conf)


@given(st.sampled_from(RUN_TYPES), months, st.datetimes(timezones=st.just(UTC)))
def test_a_run_that_is_not_told_a_month_may_not_be_for_one_that_has_not_ended(run_type, month, now):
    """Airflow's trigger form fills in the present time as logical date."""
    days = 0 if run_type in ("scheduled", "backfill") else 20  # Airflow's own runs are dated at the month's start
    run = dag_run(month.start + timedelta(days=days), run_type=run_type)
    if now < month.end:
        with pytest.raises(MonthError, match=f"{month}, .* has not ended.*{TO_GIVE}"):
            refuse_date_of_today(run, {}, now)
    else:
        refuse_date_of_today(run, {}, now)


def test_a_month_that_was_asked_for_may_be_waited_for_before_it_has_ended():
    asked = {"month": "2024-01"}
    refuse_date_of_today(dag_run(datetime(2024, 1, 9, tzinfo=UTC), conf=asked), asked, datetime(2024, 1, 9, tzinfo=UTC))


def test_a_run_needs_no_month_param():
    assert month_of(dag_run(JANUARY.start), {}) == JANUARY


def test_a_malformed_month_param_is_refused():
    with pytest.raises(MonthError, match="YYYY-MM"):
        month_of(dag_run(JANUARY.start), {"month": "2024-1"})


@pytest.mark.parametrize("zone", [UTC, NEW_YORK_WINTER])
def test_the_run_dated_at_the_months_first_instant_owns_the_plain_schema_name(zone):
    run = dag_run(JANUARY.start.astimezone(zone))
    assert run_schema_of(run, {}, "airflow_default") == "airflow_default_20240101"


@pytest.mark.parametrize(
    ("logical_date", "param"),
    [
        (None, "2024-01"),
        (datetime(2024, 1, 1, 0, 0, 1, tzinfo=UTC), None),
        (datetime(2024, 1, 31, tzinfo=UTC), None),
        (datetime(2024, 1, 1, tzinfo=NEW_YORK_WINTER), None),
        (datetime(2024, 2, 1, tzinfo=UTC), "2024-01"),  # another month's date
    ],
)
def test_any_other_run_of_the_month_has_a_schema_of_its_own(logical_date, param):
    schemas = {
        run_schema_of(dag_run(logical_date, run_id=run_id), {"month": param}, "airflow_default")
        for run_id in ("manual__1", "manual__2")
    }
    assert len(schemas) == 2
    assert all(schema.startswith("airflow_default_20240101_") for schema in schemas)


def test_a_run_finds_its_schema_again():
    schemas = {run_schema_of(dag_run(None), {"month": "2024-01"}, "airflow_default") for _ in range(2)}
    assert len(schemas) == 1


@given(months, st.text(max_size=300), st.none() | st.datetimes(timezones=st.just(UTC)))
def test_a_run_schema_fits_postgres_for_the_longest_student(month, run_id, logical_date):
    longest = published_schema("x" * STUDENT_MAX_LENGTH)
    run = dag_run(logical_date, run_id)
    assert len(run_schema_of(run, {"month": str(month)}, longest).encode()) <= 63


def test_the_first_month_is_that_of_tlcs_first_green_file():
    assert str(FIRST_MONTH) == "2013-08"
