"""A managed Postgres, reached over TLS: what the connection says reaches the loader and dbt alike."""

from __future__ import annotations

import json
import os
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import psycopg2
import pytest
from psycopg.conninfo import conninfo_to_dict

from dev.services.warehouse_address import WarehouseAddress
from include.datasets import GREEN
from include.failures.retry import heals
from include.ingest.load import load_month
from include.settings import DBT_PROFILES, SettingError
from include.warehouse.connection import warehouse_dsn, warehouse_fields
from include.warehouse.libpq import IN_PROFILE, LIBPQ_SETTINGS, dbt_environment
from tests.support.dbt.project import Project
from tests.support.helpers import JANUARY
from tests.support.postgres.certificates import Authority
from tests.support.postgres.postgres_proxy import PostgresProxy, postgres_proxy


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"))


class Managed:
    """A server under TLS, and the Airflow connection to it."""

    def __init__(self, project: Project, proxy: PostgresProxy, monkeypatch: pytest.MonkeyPatch) -> None:
        self.project, self.proxy, self.monkeypatch = project, proxy, monkeypatch

    def connect(self, **extra: str | int) -> None:
        own = urlsplit(self.project.dsn)
        connection = {
            "conn_type": "postgres",
            "host": "localhost",
            "port": self.proxy.port,
            "login": own.username,
            "password": own.password,
            "schema": own.path[1:],
            "extra": {"hostaddr": "127.0.0.1", **extra},
        }
        self.monkeypatch.setenv("AIRFLOW_CONN_AZURE_PG", json.dumps(connection))

    def load(self) -> None:
        schema = self.project.schema
        load_month(GREEN, JANUARY, self.project.tlc.address, warehouse_dsn(), schema, "by hand")

    def dbt(self, *arguments: str) -> tuple[int, str]:
        own = {name: value for name, value in os.environ.items() if name.startswith("PGSSL")}
        with dbt_environment(warehouse_fields()) as environment:
            done = self.project.dbt(*arguments, month="2024-01", **own, **environment)
        return done.returncode, done.output

    def both_refuse(self) -> str:
        with pytest.raises(psycopg.Error) as caught:
            self.load()
        assert not heals(caught.value)
        code, output = self.dbt("debug")
        assert code != 0
        return f"{caught.value}\n{output}"


@pytest.fixture
def managed(project: Project, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Managed]:
    project.publish_file("2024-01")
    with postgres_proxy(urlsplit(project.dsn).port, authority.server()) as proxy:
        yield Managed(project, proxy, monkeypatch)


def test_a_server_whose_certificate_is_checked_in_full_is_loaded_and_built_on(managed: Managed, authority: Authority):
    managed.connect(
        sslmode="verify-full",
        sslrootcert=str(authority.certificate),
        options="-c statement_timeout=59s",
        keepalives=1,
        keepalives_idle=30,
        keepalives_interval=10,
        keepalives_count=3,
        target_session_attrs="read-write",
        connect_timeout=20,
    )
    managed.load()
    code, output = managed.dbt("build", "--exclude-resource-type", "unit_test")
    assert code == 0, output
    # of the loader and of dbt
    assert len(managed.proxy.sessions) > 2
    assert {session.get("options") for session in managed.proxy.sessions} == {"-c statement_timeout=59s"}


def test_libpqs_own_variables_hold_for_both(
    managed: Managed, authority: Authority, stranger: Authority, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PGSSLROOTCERT", str(authority.certificate))
    managed.connect(sslmode="verify-full")
    managed.load()
    code, output = managed.dbt("debug")
    assert code == 0, output
    monkeypatch.setenv("PGSSLROOTCERT", str(stranger.certificate))
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    managed.connect()
    assert managed.both_refuse().count("certificate verify failed") >= 2


@pytest.mark.parametrize("wrong", ["authority", "name", "expired"])
def test_a_server_with_a_wrong_certificate_is_refused_by_both_and_not_tried_again(
    project: Project, authority: Authority, stranger: Authority, monkeypatch: pytest.MonkeyPatch, wrong: str
):
    project.publish_file("2024-01")
    server = {
        "authority": stranger.server,
        "name": lambda: authority.server("other.example"),
        "expired": lambda: authority.server(expired=True),
    }[wrong]()
    with postgres_proxy(urlsplit(project.dsn).port, server) as proxy:
        managed = Managed(project, proxy, monkeypatch)
        managed.connect(sslmode="verify-full", sslrootcert=str(authority.certificate))
        says = managed.both_refuse()
    expected = "does not match host name" if wrong == "name" else "certificate verify failed"
    assert says.count(expected) >= 2, says
    assert proxy.sessions == []


def test_a_server_that_asks_for_a_clients_certificate_gets_it(
    project: Project, authority: Authority, monkeypatch: pytest.MonkeyPatch
):
    project.publish_file("2024-01")
    asking: ssl.SSLContext = authority.server(clients=authority.certificate)
    client = authority.client("pipeline")
    with postgres_proxy(urlsplit(project.dsn).port, asking) as proxy:
        managed = Managed(project, proxy, monkeypatch)
        managed.connect(
            sslmode="verify-full",
            sslrootcert=str(authority.certificate),
            sslcert=str(client.certificate),
            sslkey=str(client.key),
        )
        managed.load()
        assert managed.dbt("debug")[0] == 0


def test_a_server_that_may_not_be_written_to_is_refused_and_may_become_the_one_that_may(managed: Managed, authority):
    managed.connect(sslmode="require", target_session_attrs="read-only")
    with pytest.raises(psycopg.Error) as caught:
        managed.load()
    assert "session is not read-only" in str(caught.value)
    assert heals(caught.value)


def test_an_extra_that_cannot_be_honoured_is_refused_by_name(managed: Managed):
    managed.connect(iam="true", sslpassword="not to be shown")
    with pytest.raises(SettingError, match="'azure_pg' has iam, sslpassword, which") as caught:
        warehouse_fields()
    assert "not to be shown" not in str(caught.value)


def test_extras_of_airflows_own_hook_and_empty_ones_are_left_out(managed: Managed):
    managed.connect(cursor="dictcursor", sslrootcert="")
    assert set(warehouse_fields()) == {"host", "port", "user", "password", "dbname", "sslmode", "hostaddr"}


def test_the_service_file_is_its_owners_alone_holds_no_password_and_goes(managed: Managed):
    managed.connect(options="-c work_mem=64MB")
    with dbt_environment(warehouse_fields()) as environment:
        file = Path(environment["PGSERVICEFILE"])
        assert file.stat().st_mode & 0o077 == 0
        assert file.read_text() == "[warehouse]\nhostaddr=127.0.0.1\noptions=-c work_mem=64MB\n"
    assert not file.exists()


def test_the_profile_passes_on_what_it_is_given():
    read = set(re.findall(r"env_var\('PG_(\w+)'", DBT_PROFILES.read_text()))
    assert read == {name.upper() for name in IN_PROFILE} | {"SCHEMA"}


@pytest.mark.parametrize("form", ["uri", "json", "PG_*"])
def test_the_local_stack_passes_the_settings_of_a_server_of_ones_own_on(form: str):
    settings = {"sslmode": "verify-full", "sslrootcert": "/a b/root.crt", "options": "-c work_mem=1MB -c x.y=z"}
    address = WarehouseAddress("db.example", 5433, "me", "p@ss", "warehouse", settings)
    environment = {
        "uri": {"AZURE_PG": address.uri()},
        "json": {"AIRFLOW_CONN_AZURE_PG": address.airflow_connection()},
        "PG_*": {f"PG_{name.upper()}": value for name, value in conninfo_to_dict(address.uri()).items()},
    }[form]
    assert WarehouseAddress.from_environment(environment) == address
    with address.dbt_environment() as given:
        assert given["PG_SSLMODE"] == "verify-full"
        rest = Path(given["PGSERVICEFILE"]).read_text()
        assert rest.splitlines() == ["[warehouse]", "sslrootcert=/a b/root.crt", "options=-c work_mem=1MB -c x.y=z"]


@pytest.mark.parametrize("setting", sorted(LIBPQ_SETTINGS - {"hostaddr"}))
def test_every_setting_that_is_passed_on_is_one_that_both_drivers_know(setting: str):
    values = {
        **{"keepalives": "1", "options": "-c work_mem=1MB", "sslmode": "disable", "channel_binding": "disable"},
        **{"gssencmode": "disable", "load_balance_hosts": "random", "sslcertmode": "allow"},
        **{"sslnegotiation": "postgres", "target_session_attrs": "primary"},
    }
    numbers = ("keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout", "connect_timeout")
    value = values.get(setting) or ("10" if setting in numbers else "")
    for connect in (psycopg.connect, psycopg2.connect):
        with pytest.raises(Exception, match="onnection refused"):
            connect(f"host=127.0.0.1 port=1 user=a dbname=b {setting}='{value}'")
