"""The dbt project on a warehouse of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from dev.services.postgres import EmbeddedPostgres
from dev.tlc.mirror import TlcMirror
from tests.support.dbt.project import Project
from tests.support.postgres.warehouses import warehouse


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where dbt keeps what it parsed. It parses a month anew for each database name, hence one name for all tests."""
    return tmp_path_factory.mktemp("target")


@pytest.fixture
def project(dsn: str, tlc: TlcMirror, target: Path) -> Project:
    """The dbt project on an empty warehouse."""
    return Project(dsn, tlc, target)


@pytest.fixture(scope="session")
def january(postgres: EmbeddedPostgres, target: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database in which January 2024 is loaded, built and published: its name."""
    with warehouse(postgres, "warehouse_of_january") as dsn, TlcMirror(tmp_path_factory.mktemp("tlc")) as tlc:
        project = Project(dsn, tlc, target)
        project.load("2024-01")
        project.publish("2024-01")
        yield conninfo_to_dict(dsn)["dbname"]


@pytest.fixture
def built(postgres: EmbeddedPostgres, january: str, tlc: TlcMirror, target: Path) -> Iterator[Project]:
    """The dbt project on a warehouse of this test's own in which January 2024 is published."""
    with warehouse(postgres, "warehouse_of_a_test", copy_of=january) as dsn:
        yield Project(dsn, tlc, target)
