"""What tests share: a real Postgres, a database of its own for each test, and a mirror in TLC's place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from psycopg.conninfo import conninfo_to_dict

from dev.services.postgres import EmbeddedPostgres
from dev.stack.stack import Stack
from dev.tlc.mirror import TlcMirror
from dev.tlc.sample_months import write_zones
from include.settings import ROOT
from tests.support.dbt.project import Project
from tests.support.postgres.cutting_proxy import CuttingProxy, cutting_proxy
from tests.support.postgres.warehouses import warehouse
from tests.support.stack.mailbox import Mailbox, mailbox
from tests.support.stack.pipeline import Pipeline, running_pipeline

STATE = ROOT / ".local" / "tests"

# the same examples each time, however slow the machine
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that share the stack come last: it takes a third of a core while it waits for tests that do not need it."""
    items.sort(key=lambda item: "pipeline" in getattr(item, "fixturenames", ()))


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
def tlc(tmp_path: Path) -> Iterator[TlcMirror]:
    """A mirror in TLC's place, over a folder that is empty yet."""
    folder = tmp_path / "tlc"
    folder.mkdir()
    with TlcMirror(folder) as tlc:
        yield tlc


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


@pytest.fixture
def proxy(postgres: EmbeddedPostgres) -> Iterator[CuttingProxy]:
    """Between the tests and the server; it cuts connections off when it is told to."""
    with cutting_proxy(int(conninfo_to_dict(postgres.dsn())["port"])) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def mails() -> Iterator[Mailbox]:
    """What the stack tells someone, by mail."""
    with mailbox() as box:
        yield box


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory, mails: Mailbox) -> Iterator[Pipeline]:
    """The whole stack, over a mirror that has the zones and no month yet."""
    state = STATE / f"stack-{os.getpid()}"
    folder = tmp_path_factory.mktemp("tlc")
    write_zones(folder)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PIPELINE_RETRY_SECONDS", "1")
        environment.setenv("PIPELINE_POLL_SECONDS", "10")
        environment.setenv("PIPELINE_NOTIFY", "oncall")
        environment.setenv("AIRFLOW_CONN_ONCALL", mails.connection())
        executor = os.environ.get("EXECUTOR") or "local"  # as `make` takes it
        with running_pipeline(Stack(state), folder, executor=executor) as pipeline:
            yield pipeline
    shutil.rmtree(state)


@pytest.fixture(scope="session")
def real_files() -> Path:
    """The folder of real TLC files, TLC_DIR. Without it the tests that need it are skipped, and said to be."""
    if "TLC_DIR" not in os.environ:
        pytest.skip("TLC_DIR is not set: real TLC files were not tried (TLC_DIR=<folder of TLC's files>)")
    folder = Path(os.environ["TLC_DIR"])
    assert folder.is_dir(), f"TLC_DIR={folder} is not a folder"
    return folder
