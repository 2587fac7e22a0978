"""What tests share: a real Postgres, a database of its own for each test, and a mirror in TLC's place.

What needs dbt or Airflow is in the conftest.py of a folder: importing it takes longer than all unit tests.
"""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from psycopg.conninfo import conninfo_to_dict

from dev.services.postgres import EmbeddedPostgres
from dev.system.process import forget_postgres_variables
from dev.tlc.mirror import TlcMirror
from include.settings import ROOT
from tests.support.postgres.cutting_proxy import CuttingProxy, cutting_proxy
from tests.support.postgres.warehouses import warehouse

STATE = ROOT / ".local" / "tests"
# Importing Airflow and dbt makes some 400,000 objects that stay, and the collector looks at all of them time and again:
# a quarter of the unit tests' CPU, half of that when the processes end.
gc.set_threshold(100_000, 50, 50)
forget_postgres_variables()

# the same examples each time, however slow the machine
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


def pytest_sessionfinish() -> None:
    gc.freeze()


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """One server for all tests that crash nothing; each test has a database of its own in it."""
    state = STATE / f"postgres-{os.getpid()}"
    server = EmbeddedPostgres(state, durable=False)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(state)


@pytest.fixture
def dsn(postgres: EmbeddedPostgres) -> Iterator[str]:
    """An empty warehouse, as the role `pipeline`: a URI."""
    with warehouse(postgres, "warehouse_of_a_test") as dsn:
        yield dsn


@pytest.fixture
def proxy(postgres: EmbeddedPostgres) -> Iterator[CuttingProxy]:
    """Between the tests and the server; it cuts connections off when it is told to."""
    with cutting_proxy(int(conninfo_to_dict(postgres.dsn())["port"])) as proxy:
        yield proxy


@pytest.fixture
def tlc(tmp_path: Path) -> Iterator[TlcMirror]:
    """A mirror in TLC's place, over a folder that is empty yet."""
    folder = tmp_path / "tlc"
    folder.mkdir()
    with TlcMirror(folder) as tlc:
        yield tlc


@pytest.fixture(scope="session")
def real_files() -> Path:
    """The folder of real TLC files, TLC_DIR. Without it the tests that need it are skipped, and said to be."""
    if not os.environ.get("TLC_DIR"):
        pytest.skip("TLC_DIR is not set: real TLC files were not tried (TLC_DIR=<folder of TLC's files>)")
    folder = Path(os.environ["TLC_DIR"])
    assert folder.is_dir(), f"TLC_DIR={folder} is not a folder"
    return folder
