"""A month is made anew from the rows that are loaded: they stay, and the source is not asked."""

from __future__ import annotations

import pytest

from dev.tlc.mirror import TlcMirror
from dev.tlc.sample_months import write_month, write_zones
from include.datasets import GREEN
from include.ingest.load import load_month
from include.ingest.rebuild import NothingLoaded, loaded_files
from include.month import Month
from tests.support.postgres.warehouse_content import fingerprint, query

SCHEMA, MONTH = "airflow_default", Month.parse("2024-01")


def test_the_loaded_rows_stay_as_they_are_and_the_source_is_not_asked(dsn: str, tlc: TlcMirror):
    write_zones(tlc.folder)
    write_month(tlc.folder, str(MONTH), 60)
    loaded = load_month(GREEN, MONTH, tlc.address, dsn, SCHEMA, "a run")
    write_month(tlc.folder, str(MONTH), 60, version=2)  # TLC restates the month meanwhile
    before, asked = fingerprint(dsn), list(tlc.requests)
    found = loaded_files(GREEN, MONTH, dsn, SCHEMA)
    assert sorted(found, key=str) == sorted(loaded, key=str)
    assert fingerprint(dsn) == before
    assert tlc.requests == asked
    assert "GET /trip-data/green_tripdata_2024-01.parquet" in asked, "the mirror does note what it is asked"


def test_tables_that_an_earlier_revision_did_not_have_are_there_afterwards(dsn: str, tlc: TlcMirror):
    write_zones(tlc.folder)
    write_month(tlc.folder, str(MONTH), 60)
    load_month(GREEN, MONTH, tlc.address, dsn, SCHEMA, "a run")
    for table in ("audit_log", "code_versions"):
        query(dsn, f"drop table {SCHEMA}.{table}")
    loaded_files(GREEN, MONTH, dsn, SCHEMA)
    assert query(dsn, f"select count(*) from {SCHEMA}.audit_log, {SCHEMA}.code_versions") == [(0,)]


def test_a_month_of_which_nothing_is_loaded_is_not_rebuilt_which_is_said(dsn: str, tlc: TlcMirror):
    with pytest.raises(NothingLoaded, match="no file of raw_trips, raw_zones for green 2024-01"):
        loaded_files(GREEN, MONTH, dsn, SCHEMA)
    write_zones(tlc.folder)
    write_month(tlc.folder, "2024-02", 60)
    load_month(GREEN, Month.parse("2024-02"), tlc.address, dsn, SCHEMA, "a run")
    with pytest.raises(NothingLoaded, match=r"no file of raw_trips for green 2024-01.* make backfill DATASET=green"):
        loaded_files(GREEN, MONTH, dsn, SCHEMA)
