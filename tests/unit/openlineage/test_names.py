"""The names of files and tables in OpenLineage events."""

from __future__ import annotations

from include.datasets import GREEN, YELLOW
from include.openlineage.names import Database, file_name, run_schema
from include.source.address import Address


def test_a_table_is_named_by_server_database_and_schema():
    database = Database.of({"host": "db.example", "port": 6543, "dbname": "warehouse", "user": "u", "password": "p"})
    assert database.namespace == "postgres://db.example:6543"
    assert database.table("airflow_default", "fct_trips") == "warehouse.airflow_default.fct_trips"
    assert "'p'" not in repr(database)


def test_a_socket_is_the_machine_itself():
    assert Database.of({"host": "/run/postgresql", "port": 5432}).namespace == "postgres://localhost:5432"
    assert Database.of({"host": None, "port": 5432}).namespace == "postgres://localhost:5432"


def test_all_months_have_one_file_and_one_run_schema():
    address = Address.parse("https://user:secret@files.example:8443/mirror/?sig=secret")
    green, yellow = (file_name(address, each.monthly) for each in (GREEN, YELLOW))
    assert green == ("https://files.example:8443", "mirror/trip-data/green_tripdata_YYYY-MM.parquet")
    assert yellow[1] == "mirror/trip-data/yellow_tripdata_YYYY-MM.parquet"
    assert file_name(Address.parse("http://files.example"), GREEN.others[0])[1] == "misc/taxi_zone_lookup.csv"
    assert run_schema("airflow_default_yellow") == "airflow_default_yellow_YYYYMMDD"
