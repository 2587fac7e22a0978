"""The declarations: addresses, first months, schemas, and what dbt spells as they do."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import date

import pytest

from include.datasets import DATASETS, GREEN, YELLOW, Dataset, parquet_url_for, student_max_length
from include.settings import DBT_MANIFEST, DBT_PROJECT, ROOT, SettingError
from tests.support.trips import DECLARED

MANIFEST = json.loads(DBT_MANIFEST.read_text())
CDN = "https://d37ci6vzurychx.cloudfront.net"


# ---------- the source's address


@pytest.mark.parametrize("ds", ["2024-01-01", "2024-01-31", date(2024, 1, 17)])
def test_the_url_is_that_of_the_month_any_of_its_days_lies_in(ds):
    assert parquet_url_for(ds) == f"{CDN}/trip-data/green_tripdata_2024-01.parquet"
    assert parquet_url_for(ds, dataset=YELLOW) == f"{CDN}/trip-data/yellow_tripdata_2024-01.parquet"


@pytest.mark.parametrize("base_url", ["http://mirror:8000", "http://mirror:8000/"])
def test_the_url_follows_the_base_url(base_url):
    assert parquet_url_for("2024-01-01", base_url) == "http://mirror:8000/trip-data/green_tripdata_2024-01.parquet"


def test_the_url_is_to_be_had_without_airflow():
    program = (
        "import sys; from include.datasets import parquet_url_for; print(parquet_url_for('2024-02-29'));"
        "import include.settings; sys.exit('airflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("/green_tripdata_2024-02.parquet\n")


def test_the_first_months_are_those_of_tlcs_first_files_with_zones():
    assert {name: str(each.first_month) for name, each in DECLARED.items()} == {"green": "2013-08", "yellow": "2011-01"}


# ---------- schemas


@pytest.mark.parametrize("student", ["default", "a", "7", "_", "ann_lee_2", "a_2024010", "x" * student_max_length()])
def test_a_plain_student_names_the_published_schemas(monkeypatch, student):
    monkeypatch.setenv("AIRFLOW_STUDENT", student)
    assert GREEN.published_schema() == f"airflow_{student}"
    assert YELLOW.published_schema() == f"airflow_{student}_yellow"


def test_without_a_student_the_schema_is_airflow_default(monkeypatch):
    monkeypatch.delenv("AIRFLOW_STUDENT", raising=False)
    assert GREEN.published_schema() == "airflow_default"


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
@pytest.mark.parametrize(
    "student",
    [
        "",
        " ",
        "Ann",
        "o'hara",
        'a"; drop schema public cascade; --',
        "a-b",
        "a.b",
        "é",
        "a\n",
        "x" * 80,
        "x" * (student_max_length() + 1),
        "ann_20240101",  # ann's run of 2024-01
        "ann_20240101_0123abcd",  # ann's second run of it
        "ann_partitions",
        *(f"ann{each.schema_suffix}" for each in DATASETS.values() if each.schema_suffix),  # ann's, of that dataset
    ],
)
def test_another_student_is_refused_and_the_setting_named(monkeypatch, student, dataset: Dataset):
    monkeypatch.setenv("AIRFLOW_STUDENT", student)
    with pytest.raises(SettingError, match="AIRFLOW_STUDENT="):
        dataset.published_schema()


def test_no_two_datasets_share_a_schema_a_dag_or_a_file():
    for what in ("schema_suffix", "dag_id", "name"):
        assert len({getattr(each, what) for each in DATASETS.values()}) == len(DATASETS), what
    assert len({(each.host, each.monthly.path) for each in DATASETS.values()}) == len(DATASETS)


# ---------- names that dbt spells too


@pytest.mark.parametrize("dataset", [each for each in DATASETS.values() if each.profile], ids=lambda each: each.name)
def test_every_figure_that_is_compared_is_a_column_of_the_published_profile(dataset: Dataset):
    columns = MANIFEST["nodes"][f"model.taxi.{dataset.profile.table}"]["columns"]
    assert {"source_month", "rows_profiled"} <= columns.keys()
    assert {*dataset.profile.ratios, *dataset.profile.differences} <= {*columns, "trips_a_day"}
    assert "rows_accepted" in MANIFEST["nodes"][f"model.taxi.{dataset.months_table}"]["columns"]


def test_dbt_knows_the_datasets_of_trips_by_the_same_suffixes():
    model = MANIFEST["nodes"]["model.taxi.stg_tlc__trips"]
    assert model["config"]["meta"]["datasets"] == {each.name: each.schema_suffix for each in DECLARED.values()}
    sql = (DBT_PROJECT / "models/staging/tlc/stg_tlc__trips.sql").read_text()
    assert re.findall(r"endswith\('(\w+)'\)", sql) == [YELLOW.schema_suffix]


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_every_raw_table_is_a_source_of_the_dataset_s_models(dataset: Dataset):
    sources = MANIFEST["sources"].values()
    declared = {each["name"] for each in sources if each["path"].startswith(f"models/staging/{dataset.models}/")}
    assert declared == {file.table for file in dataset.files}
    for layer in ("intermediate", "marts"):
        assert list((DBT_PROJECT / "models" / layer / dataset.models).glob("*.sql")), layer


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_every_declared_column_is_read_by_a_model(dataset: Dataset):
    """One that was declared, and forgotten from there on, would be loaded and never published."""
    for file in dataset.files:
        source = next(
            id
            for id, each in MANIFEST["sources"].items()
            if each["name"] == file.table and each["path"].startswith(f"models/staging/{dataset.models}/")
        )
        reading = [each for each in MANIFEST["nodes"].values() if source in each["depends_on"]["nodes"]]
        sql = "\n".join(each["raw_code"] for each in reading if each["resource_type"] == "model")
        assert [name for name in file.columns.names if not re.search(rf"\b{name}\b", sql)] == [], file.table
