"""The datasets: one declaration for each, of everything in which they differ. Importable without Airflow.

docs/how-to/add-a-dataset.md says how to write another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

import pyarrow as pa

from include.month import Month
from include.settings import KEEP_RUN_SCHEMAS, KEEP_VERSIONS, STUDENT, SettingError

TIMES = pa.timestamp("us")  # without a time zone: in TLC's files New York wall clock
MONEY = pa.float64()  # as in the file; dbt turns it into numeric, which sums exactly in any order
POSTGRES_TYPES = {
    pa.bool_(): "boolean",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float64(): "double precision",
    pa.string(): "text",
    pa.timestamp("us"): "timestamp without time zone",
    pa.date32(): "date",
    pa.json_(): "jsonb",
}


@dataclass(frozen=True)
class Host:
    """A server of files. The Airflow variable `variable`, where it is set, replaces `address`."""

    variable: str
    address: str


@dataclass(frozen=True, eq=False)
class SourceFile:
    """One file of a host, and the raw table that its rows go to.

    `path`: below the host's address, ending in `.parquet` or `.csv`; `{month}` in it stands for `YYYY-MM`, and makes
    the file a monthly one. `columns`: the declared columns, names in lower case, with the types that the file's values
    are cast to. `may_lack`: columns that a file may lack, before that month, or (None) in any month. `never_null`:
    columns that must have a value in every row.
    """

    table: str
    path: str
    columns: pa.Schema
    may_lack: Mapping[str, Month | None] = field(default_factory=dict)
    never_null: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The file's own name, with `{month}` where it has one."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def is_monthly(self) -> bool:
        return "{month}" in self.path

    @property
    def raw_columns(self) -> pa.Schema:
        """The raw table's columns: the declared ones, a row's place in a monthly file, and undeclared columns."""
        place = [("source_month", pa.date32()), ("source_row", pa.int32())] if self.is_monthly else []
        return pa.schema([*self.columns, *place, ("extra_columns", pa.json_())])

    def url(self, base_url: str, month: Month) -> str:
        return f"{base_url.rstrip('/')}/{self.path.format(month=month)}"

    def required_columns(self, month: Month) -> set[str]:
        """Names of the columns that the month's file must have."""
        lacking = {name for name, since in self.may_lack.items() if since is None or month < since}
        return set(self.columns.names) - lacking


@dataclass(frozen=True, eq=False)
class Profile:
    """The figures of a published month that are compared with those of the months nearest to it, and what is tolerated.

    `table`: the published table that has them as columns, in one row for each month. One more is `trips_a_day`: the
    accepted rows of the table of months. `ratios`: by figure, how much more than the others' median it may be, and as
    many times less; 0.25: from four fifths to five quarters. `differences`: of figures such as shares, how much more or
    less it may be. A figure that stands in neither is not compared.
    """

    table: str
    ratios: Mapping[str, float]
    differences: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A monthly file, the other files that go with it, and what is made of them.

    The dataset has schemas of its own: `airflow_<student><schema_suffix>`, and others whose names begin so. `models` is
    the folder of its dbt models below each of `staging`, `intermediate` and `marts`.

    Counted from a month's end: the file is there `published_after` at the earliest, and the month's own run begins then
    and waits for it. It is `usually_published_after`; PIPELINE_LATE_SECONDS later someone is told that it is not there.
    A month that is not there `overdue_after` has a wrong address, or the host has withdrawn it: its run fails.
    """

    name: str
    title: str
    dag_id: str
    host: Host
    monthly: SourceFile
    first_month: Month
    why_not_earlier: str
    models: str
    schema_suffix: str
    published_after: timedelta
    usually_published_after: timedelta
    overdue_after: timedelta
    others: tuple[SourceFile, ...] = ()
    # The published table that has a row for each published month, with the column file_sha256. None: there is none, and
    # run schemas are dropped by their age alone. Its rows come from the table `audited_months` of the run's schema,
    # which is audited before anything is published. The events of the published tables carry its figures.
    months_table: str | None = None
    audited_months: str = "int_months"
    # What marks a published month that departs from its neighbours. It takes a `months_table` that has `rows_accepted`.
    # None: no month is marked.
    profile: Profile | None = None
    # The DAG that reports each published month, from tables such as those of taxi trips. None: there is none.
    report_dag_id: str | None = None
    # Meanwhile a model of the month can be cleared alone. The schema takes as much as the month's published rows.
    run_schemas_stay: timedelta = timedelta(days=30)
    # Meanwhile a version that another file has replaced can be put back. It takes as much as the month's raw rows.
    versions_stay: timedelta = timedelta(days=90)

    @property
    def files(self) -> tuple[SourceFile, ...]:
        return (self.monthly, *self.others)

    def published_schema(self, student: str | None = None) -> str:
        """The schema of the raw and published tables. The student defaults to AIRFLOW_STUDENT.

        Raises SettingError for a student whose name cannot be part of a schema's.
        """
        return f"airflow_{checked_student(student)}{self.schema_suffix}"

    def keep_run_schemas(self) -> timedelta:
        """How long a run schema stays after its month was loaded: the setting, else the dataset's own time."""
        return KEEP_RUN_SCHEMAS.value() or self.run_schemas_stay

    def keep_versions(self) -> timedelta:
        """How long a version that another file has replaced is kept: the setting, else the dataset's own time."""
        return KEEP_VERSIONS.value() or self.versions_stay


# TLC took 48 to 122 days from a month's end to its file, and 53 in the median (measured by the time of the files).
TLC_EARLIEST, TLC_USUAL, TLC_OVERDUE = timedelta(days=48), timedelta(days=53), timedelta(days=180)
TLC = Host("tlc_base_url", "https://d37ci6vzurychx.cloudfront.net")  # behind the links on TLC's trip record page
ZONES = SourceFile(
    "raw_zones",
    "misc/taxi_zone_lookup.csv",
    pa.schema(
        [("locationid", pa.int32()), ("borough", pa.string()), ("zone", pa.string()), ("service_zone", pa.string())]
    ),
    never_null=("locationid",),
)
# What real months differ by is less, but for a few: docs/explanation/decisions/departures.md.
TRIPS = Profile(
    table="fct_month_profile",
    ratios={
        "trips_a_day": 0.3,
        "median_fare_a_mile": 0.25,
        "median_total_amount": 0.25,
        "median_miles": 0.25,
        "median_minutes": 0.25,
        "median_speed": 0.25,
        "pickup_zones": 0.25,
    },
    differences={
        "median_pickup_hour": 0.8,
        "commonest_vendor_share": 0.1,
        "commonest_pickup_zone_share": 0.08,
        "paid_by_card": 0.12,
        "tipped": 0.12,
        "tips_without_card": 0.1,
        "tolled": 0.05,
        "one_passenger": 0.1,
        "standard_rate": 0.05,
        "without_details": 0.3,
        "details_apart": 0.2,
        "unknown_codes": 0.1,
        "zero_miles": 0.05,
        "without_duration": 0.02,
        "duration_distance_correlation": 0.2,
        "totals_off": 0.2,
        "whole_dollar_totals": 0.15,
        "whole_mile_distances": 0.1,
        "reversals_share": 0.02,
        "unpaired_reversals": 0.05,
        "opposite_signs": 0.05,
        "repeated_rides": 0.01,
    },
)
CBD_FEE_SINCE = Month(date(2025, 1, 1))  # Manhattan's congestion pricing began on 2025-01-05

GREEN = Dataset(
    name="green",
    title="NYC TLC green-taxi trips",
    dag_id="taxi_pipeline",
    host=TLC,
    monthly=SourceFile(
        "raw_trips",
        "trip-data/green_tripdata_{month}.parquet",
        # TLC's types drift: ids are int64 until 2023-01 and int32 after, codes double or int64, some of type null
        pa.schema(
            [
                ("vendorid", pa.int32()),
                ("lpep_pickup_datetime", TIMES),
                ("lpep_dropoff_datetime", TIMES),
                ("store_and_fwd_flag", pa.string()),
                ("ratecodeid", pa.int32()),
                ("pulocationid", pa.int32()),
                ("dolocationid", pa.int32()),
                ("passenger_count", pa.int32()),
                ("trip_distance", pa.float64()),
                ("fare_amount", MONEY),
                ("extra", MONEY),
                ("mta_tax", MONEY),
                ("tip_amount", MONEY),
                ("tolls_amount", MONEY),
                ("ehail_fee", MONEY),
                ("improvement_surcharge", MONEY),
                ("total_amount", MONEY),
                ("payment_type", pa.int32()),
                ("trip_type", pa.int32()),
                ("congestion_surcharge", MONEY),
                ("cbd_congestion_fee", MONEY),
            ]
        ),
        may_lack={"ehail_fee": None, "cbd_congestion_fee": CBD_FEE_SINCE},  # ehail_fee has never held a value
    ),
    others=(ZONES,),
    first_month=Month(date(2013, 8, 1)),
    why_not_earlier="the first month of green-taxi trips",
    models="tlc",
    schema_suffix="",
    published_after=TLC_EARLIEST,
    usually_published_after=TLC_USUAL,
    overdue_after=TLC_OVERDUE,
    months_table="fct_months",
    profile=TRIPS,
    report_dag_id="taxi_report",
)

YELLOW = Dataset(
    name="yellow",
    title="NYC TLC yellow-taxi trips",
    dag_id="taxi_pipeline_yellow",
    host=TLC,
    monthly=SourceFile(
        "raw_trips",
        "trip-data/yellow_tripdata_{month}.parquet",
        # as with green; the fee of airports is written `airport_fee`, and `Airport_fee` from 2023-02 on
        pa.schema(
            [
                ("vendorid", pa.int32()),
                ("tpep_pickup_datetime", TIMES),
                ("tpep_dropoff_datetime", TIMES),
                ("passenger_count", pa.int32()),
                ("trip_distance", pa.float64()),
                ("ratecodeid", pa.int32()),
                ("store_and_fwd_flag", pa.string()),
                ("pulocationid", pa.int32()),
                ("dolocationid", pa.int32()),
                ("payment_type", pa.int32()),
                ("fare_amount", MONEY),
                ("extra", MONEY),
                ("mta_tax", MONEY),
                ("tip_amount", MONEY),
                ("tolls_amount", MONEY),
                ("improvement_surcharge", MONEY),
                ("total_amount", MONEY),
                ("congestion_surcharge", MONEY),
                ("airport_fee", MONEY),
                ("cbd_congestion_fee", MONEY),
            ]
        ),
        may_lack={"cbd_congestion_fee": CBD_FEE_SINCE},
    ),
    others=(ZONES,),
    first_month=Month(date(2011, 1, 1)),
    why_not_earlier="the first month with taxi zones; the files of 2009 and 2010 have coordinates, under other names",
    models="tlc",
    schema_suffix="_yellow",
    published_after=TLC_EARLIEST,
    usually_published_after=TLC_USUAL,
    overdue_after=TLC_OVERDUE,
    months_table="fct_months",
    profile=TRIPS,
    report_dag_id="taxi_report_yellow",
    # Fifty times green's rows: a month's run schema takes some 0.5 GB.
    run_schemas_stay=timedelta(days=1),
    versions_stay=timedelta(days=30),
)

# Those that run. A declaration that is not here has no DAG.
DATASETS: dict[str, Dataset] = {each.name: each for each in (GREEN, YELLOW)}


def default_dataset() -> Dataset:
    """The first, which a command takes where none is named."""
    return next(iter(DATASETS.values()))


def dataset_of(dag_id: str) -> Dataset | None:
    """The dataset that has this pipeline, or this DAG of reports; None for any other DAG."""
    return next((each for each in DATASETS.values() if dag_id in (each.dag_id, each.report_dag_id)), None)


def student_max_length() -> int:
    """The most characters that the student may have. Postgres cuts identifiers at 63 bytes, without an error.

    The longest name made from the student is `airflow_<student><suffix>_<yyyymmdd>_<8 hex digits>`.
    """
    longest = max(len(each.schema_suffix) for each in DATASETS.values())
    return 63 - len("airflow_") - longest - len("_20240101_0123abcd")


def checked_student(student: str | None = None) -> str:
    """The student, AIRFLOW_STUDENT where none is given. Raises SettingError for a name that schemas cannot have."""
    student = STUDENT.value() if student is None else student
    most = student_max_length()
    if not re.fullmatch(rf"[a-z0-9_]{{1,{most}}}", student):
        raise SettingError(f"AIRFLOW_STUDENT={student!r}: use 1 to {most} lower-case letters, digits or underscores")
    suffixes = [each.schema_suffix for each in DATASETS.values() if each.schema_suffix]
    if re.search(r"_(\d{8}(_[0-9a-f]{8})?|partitions)$", student) or student.endswith(tuple(suffixes)):
        raise SettingError(
            f"AIRFLOW_STUDENT={student!r} reads like one of this project's own schemas: it may not end in _<8 digits>, "
            f"_<8 digits>_<8 hex digits>, {', '.join(suffixes)} or _partitions"
        )
    return student


def parquet_url_for(ds: str | date, base_url: str = TLC.address, dataset: Dataset = GREEN) -> str:
    """The URL of a month's file. `ds`: any day of the month."""
    return dataset.monthly.url(base_url, Month.containing(ds))
