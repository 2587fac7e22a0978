"""The warehouse's connection: what is taken from it, and what a missing one says."""

from __future__ import annotations

import pytest

from include.connection import warehouse_fields
from include.settings import SettingError


def test_every_field_comes_from_the_airflow_connection(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW_CONN_AZURE_PG", "postgresql://me:p%40ss@db.example:5433/warehouse?sslmode=require")
    assert warehouse_fields() == {
        "host": "db.example",
        "port": 5433,
        "user": "me",
        "password": "p@ss",
        "dbname": "warehouse",
        "sslmode": "require",
    }


def test_a_connection_without_a_port_means_postgres_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW_CONN_AZURE_PG", "postgresql://me:pass@db.example/warehouse")
    assert warehouse_fields()["port"] == 5432
    assert warehouse_fields()["sslmode"] is None


def test_a_missing_connection_says_how_to_add_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AIRFLOW_CONN_AZURE_PG", raising=False)
    with pytest.raises(SettingError, match=r"The Airflow connection 'azure_pg' is not defined.*AIRFLOW_CONN_AZURE_PG"):
        warehouse_fields()
