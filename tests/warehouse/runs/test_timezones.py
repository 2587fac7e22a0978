"""Months in deployments whose default time zone is not UTC: the same command means the same months everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pendulum
import pytest
from airflow.sdk import timezone
from airflow.timetables.base import TimeRestriction

from dev.services.postgres import EmbeddedPostgres
from include.datasets import GREEN
from include.month import Month
from include.runs.month_of_run import month_of, run_schema_of
from include.runs.timetable import MonthlyOncePublished
from include.settings import ROOT, SettingError
from include.source.availability import MonthUnavailable, month_is_available
from include.support.timezone import default_timezone
from tests.support.helpers import NOWHERE

MAY = Month.parse("2024-05")
# west, east, UTC; and two where clocks change at midnight of a month's first day, which comes twice, or not at all
TIMEZONES = {
    "UTC": ("2024-05", "2024-07"),
    "America/New_York": ("2024-05", "2024-07"),
    "Asia/Shanghai": ("2024-05", "2024-07"),
    "America/Havana": ("2020-10", "2020-12"),
    "America/Asuncion": ("2023-08", "2023-10"),
}
# A midnight that is a month's end is left out there.
LEFT_OUT = {"Africa/Cairo", "America/Asuncion", "Asia/Amman", "Egypt"}
# The backfill command of docs/how-to/load-months.md, with bare dates, then the month of a run of each date it prints,
# in UTC. In one process, as Airflow takes 5 s to start.
PROGRAM = """
import contextlib, io, sys
from datetime import datetime
from types import SimpleNamespace
from airflow.__main__ import main

first, last = sys.argv[1:]
sys.argv = ["airflow", "dags", "reserialize"]
main()
create = "--dag-id taxi_pipeline --max-active-runs 4 --dry-run".split()
sys.argv = ["airflow", "backfill", "create", *create, "--from-date", f"{first}-01", "--to-date", f"{last}-01"]
with contextlib.redirect_stdout(io.StringIO()) as printed:
    main()

from include.runs.month_of_run import month_of, run_schema_of
from include.processes.drift import shared_settings
from include.support.timezone import default_timezone
for each in shared_settings():
    print("SETTING", f"{each.name}={each.value}")
table = printed.getvalue().partition("Runs to be attempted:")[2]
for cell in (cell.strip() for line in table.splitlines() for cell in line.split("|")[1:2]):
    if cell[:1].isdigit():
        date = datetime.fromisoformat(cell)
        run = SimpleNamespace(logical_date=date, run_after=date, run_id="backfill__1", run_type="backfill", conf={})
        month = month_of(run, {}, default_timezone())
        schema = run_schema_of(run, {}, "airflow_default", default_timezone())
        print("RUN", date.isoformat(), month, schema)
"""


@pytest.fixture(scope="module")
def metadata(postgres: EmbeddedPostgres) -> Iterator[dict[str, str]]:
    """An environment with a metadata database of its own, migrated."""
    postgres.ensure_database("airflow_of_timezones", "airflow")
    dsn = postgres.dsn("airflow_of_timezones", "airflow").replace("postgresql://", "postgresql+psycopg2://")
    environment = os.environ | {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": dsn,
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "config")]),
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
        "COLUMNS": "200",
    }
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=environment, check=True, capture_output=True)
    return environment


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=[] if each == "America/New_York" else pytest.mark.long) for each in TIMEZONES]
)
def test_the_backfill_command_means_the_same_months_in_every_time_zone(metadata: dict[str, str], name: str):
    first, last = TIMEZONES[name]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, first, last],
        env=metadata | {"AIRFLOW__CORE__DEFAULT_TIMEZONE": name},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SETTING AIRFLOW__CORE__DEFAULT_TIMEZONE={name}" in done.stdout
    runs = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("RUN ")]
    months = [str(Month.parse(first).plus(count)) for count in range(3)]
    assert [run[1:] for run in runs] == [[month, f"airflow_default_{month.replace('-', '')}01"] for month in months]
    if name == "UTC":
        assert [run[0] for run in runs] == [f"{month}-01T00:00:00+00:00" for month in months]


def test_timetable_command_line_and_month_agree_on_where_months_begin(monkeypatch: pytest.MonkeyPatch):
    """Here for the time zones with the oddest clocks, and each 20th of the others."""
    timetable = MonthlyOncePublished(GREEN.published_after)
    for name in {*TIMEZONES, *LEFT_OUT, *sorted(zoneinfo.available_timezones())[::20]}:
        tz = pendulum.timezone(name)
        monkeypatch.setattr("include.runs.timetable.default_timezone", lambda tz=tz: tz)
        month = GREEN.first_month
        while month < Month.parse("2027-01"):
            instant = pendulum.instance(month.start_in(tz)).in_timezone("UTC")
            assert timezone.parse(month.ds, timezone=tz).in_timezone("UTC") == instant, (name, month)
            assert Month.containing(instant, tz) == month, name
            assert Month.containing(instant - timedelta(hours=2), tz) == month.plus(-1), name
            made = timetable.next_dagrun_info(
                last_automated_data_interval=None, restriction=TimeRestriction(instant, instant, catchup=True)
            )
            assert made is not None, (name, month)
            assert made.logical_date == instant, (name, month)
            month = month.plus(1)


def dag_run(logical_date: datetime, run_type: str = "backfill"):
    return SimpleNamespace(logical_date=logical_date, run_after=logical_date, run_id="1", run_type=run_type, conf={})


@pytest.mark.parametrize("kind", ["scheduled", "backfill"])
@pytest.mark.parametrize(
    ("drawn", "here"),
    [("Asia/Shanghai", "UTC"), ("America/New_York", "UTC"), ("UTC", "Asia/Shanghai"), ("UTC", "America/New_York")],
)
def test_a_process_of_another_time_zone_fails_by_the_name_of_the_setting(kind: str, drawn: str, here: str):
    run = dag_run(MAY.start_in(zoneinfo.ZoneInfo(drawn)).astimezone(UTC), kind)
    for read in (month_of, lambda *arguments: run_schema_of(*arguments[:2], "airflow_default", arguments[2])):
        with pytest.raises(SettingError, match=r"\[core\] default_timezone"):
            read(run, {}, zoneinfo.ZoneInfo(here))


def test_a_manual_run_is_for_the_month_that_its_date_lies_in_in_the_time_zone():
    evening = datetime(2024, 4, 30, 20, tzinfo=UTC)
    assert str(month_of(dag_run(evening, "manual"), {}, zoneinfo.ZoneInfo("Asia/Shanghai"))) == "2024-05"
    assert str(month_of(dag_run(evening, "manual"), {}, zoneinfo.ZoneInfo("America/New_York"))) == "2024-04"


@pytest.mark.parametrize("name", ["UTC", "Asia/Shanghai", "America/New_York"])
def test_a_month_lies_in_the_future_until_it_begins_in_the_time_zone(name: str):
    start = MAY.start_in(zoneinfo.ZoneInfo(name))
    with pytest.raises(MonthUnavailable, match="lies in the future: today is 2024-04-30"):
        month_is_available(GREEN, MAY, NOWHERE, start - timedelta(seconds=1))
    with pytest.raises(OSError, match="refused"):  # then the source is asked
        month_is_available(GREEN, MAY, NOWHERE, start)


def test_the_time_zone_of_months_is_airflows_default():
    # config/airflow.cfg sets none, and Airflow's own is UTC
    assert str(default_timezone()) == "UTC"
