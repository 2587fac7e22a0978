"""The month of a run, and the schema of its own."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from include.alerts.runbook import MONTH
from include.datasets import DATASETS, student_max_length
from include.month import Month, MonthError
from include.runs.month_of_run import (
    KEYS,
    SOURCE,
    Choice,
    choice_of,
    is_rebuild,
    month_of,
    refuse_unended_month,
    run_schema_of,
)
from tests.support.documents import shows

days = st.dates(date(1900, 1, 1), date(2200, 12, 31))
months = days.map(Month.containing)
JANUARY = Month.parse("2024-01")
NEW_YORK_WINTER = timezone(timedelta(hours=-5))


def dag_run(
    logical_date: datetime | None, run_id: str = "manual__1", run_type: str = "manual", conf: dict | None = None
):
    """What the functions read of Airflow's DagRun."""
    return SimpleNamespace(logical_date=logical_date, run_id=run_id, run_type=run_type, conf=conf)


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
    st.dictionaries(
        st.text().filter(lambda key: key not in KEYS and "/" not in key), st.none() | st.text(), min_size=1
    ),
    st.sampled_from([{}, {"month": "2024-01"}]),
)
@example("manual", {"mnth": "2024-01"}, {})
@example("backfill", {"Month": "2024-01"}, {"month": "2024-01"})
def test_a_key_that_nothing_reads_is_refused_by_name_on_every_kind_of_run(run_type, unknown, known):
    run = dag_run(JANUARY.start, run_type=run_type, conf=unknown | known)
    with pytest.raises(MonthError) as refusal:
        month_of(run, unknown | known)
    assert all(repr(key) in str(refusal.value) for key in unknown)


@pytest.mark.parametrize(
    "conf",
    [
        None,
        {},
        {"month": "2024-01"},
        {"month": "2024-01", "version": "0123abcd"},
        {"airflow/task_span_detail_level": 1},
    ],
)
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
            refuse_unended_month(run, {}, now)
    else:
        refuse_unended_month(run, {}, now)


def test_a_month_that_was_asked_for_may_be_waited_for_before_it_has_ended():
    asked = {"month": "2024-01"}
    refuse_unended_month(dag_run(datetime(2024, 1, 9, tzinfo=UTC), conf=asked), asked, datetime(2024, 1, 9, tzinfo=UTC))


def test_a_run_needs_no_month_param():
    assert month_of(dag_run(JANUARY.start), {}) == JANUARY


def test_a_malformed_month_param_is_refused():
    with pytest.raises(MonthError, match="YYYY-MM"):
        month_of(dag_run(JANUARY.start), {"month": "2024-1"})


@pytest.mark.parametrize("timezone", [UTC, NEW_YORK_WINTER])
def test_the_run_dated_at_the_months_first_instant_owns_the_plain_schema_name(timezone):
    run = dag_run(JANUARY.start.astimezone(timezone))
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
    run = dag_run(logical_date, run_id)
    for dataset in DATASETS.values():
        longest = dataset.published_schema("x" * student_max_length())
        assert len(run_schema_of(run, {"month": str(month)}, longest).encode()) <= 63


def test_a_run_asks_for_a_version_since_it_was_made_in_the_name_of_who_made_it():
    made = datetime(2026, 11, 29, 4, 12, tzinfo=UTC)
    asking = SimpleNamespace(run_id="manual__1", run_type="manual", run_after=made, triggering_user_name="ann")
    for version, pins in (("0123abcd", True), (SOURCE, False)):
        choice = choice_of(asking, {"version": version})
        assert choice == Choice(version, made, "ann", "manual__1")
        assert choice.pins == pins
    for none in ({}, {"version": None}, {"version": ""}):
        assert choice_of(asking, none) is None


@pytest.mark.parametrize("run_type", ["scheduled", "backfill"])
def test_a_backfill_asks_for_no_version(run_type):
    assert choice_of(dag_run(None, run_type=run_type), {}) is None
    with pytest.raises(MonthError, match=f"Leave version empty.*{TO_GIVE}") as refusal:
        choice_of(dag_run(None, run_type=run_type), {"version": SOURCE})
    shows(MONTH.heading, "A backfill's configuration says version …", str(refusal.value))


def test_a_run_is_a_rebuild_where_it_says_so_and_never_puts_a_version_back_too():
    assert is_rebuild({"rebuild": True, "version": None})
    assert not is_rebuild({"rebuild": False, "version": "0123abcd"})
    assert not is_rebuild({}), "a run of an earlier revision has no such param"
    with pytest.raises(MonthError, match="has both rebuild, which keeps the rows that are loaded, and version"):
        is_rebuild({"rebuild": True, "version": "0123abcd"})
    # what is accepted is what is loaded
    assert is_rebuild({"rebuild": False, "accept": "an_audit"})
    with pytest.raises(MonthError, match="has both accept, which keeps the rows that are loaded, and version"):
        is_rebuild({"accept": "an_audit", "version": "0123abcd"})
    run = dag_run(None, conf={"month": "2024-01", "rebuild": True})
    assert month_of(run, run.conf) == JANUARY
