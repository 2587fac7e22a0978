"""What tests share: a real Postgres, a database of its own for each test, and a mirror in TLC's place."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from dev.postgres import EmbeddedPostgres
from dev.tlc_mirror import TlcMirror
from include.settings import ROOT

STATE = ROOT / ".local" / "tests"


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """One server for all tests that crash nothing; each test has a database of its own in it."""
    state = STATE / "postgres"
    server = EmbeddedPostgres(state, durable=False)
    server.stop()
    shutil.rmtree(state, ignore_errors=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def dsn(postgres: EmbeddedPostgres, _names: Iterator[int] = itertools.count()) -> Iterator[str]:
    """An empty warehouse, as the role `pipeline`: a URI."""
    name = sql.Identifier(f"warehouse_{next(_names)}")
    with psycopg.connect(postgres.dsn("postgres", "postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {}").format(name))
        admin.execute(sql.SQL("revoke all on database {} from public").format(name))
        admin.execute(sql.SQL("grant connect, temporary, create on database {} to pipeline").format(name))
    yield postgres.dsn(name.as_string()[1:-1], "pipeline")
    with psycopg.connect(postgres.dsn("postgres", "postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("drop database {} with (force)").format(name))


@pytest.fixture
def tlc(tmp_path: Path) -> Iterator[TlcMirror]:
    """A mirror over an empty folder, `tlc.folder`; put files there in TLC's names."""
    folder = tmp_path / "tlc"
    folder.mkdir()
    with TlcMirror(folder) as mirror:
        mirror.folder = folder
        yield mirror


@pytest.fixture(scope="session")
def real_files() -> Path:
    """The folder of real TLC files, TLC_DIR. Without it the tests that need it are skipped, and said to be."""
    if "TLC_DIR" not in os.environ:
        pytest.skip("TLC_DIR is not set: real TLC files were not tried (TLC_DIR=<folder of TLC's files>)")
    folder = Path(os.environ["TLC_DIR"])
    assert folder.is_dir(), f"TLC_DIR={folder} is not a folder"
    return folder
