"""The local Postgres comes up whatever the umask and the name of its folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from dev.services.postgres import EmbeddedPostgres


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every OS user can enter, as pytest's own is not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.parametrize(
    ("umask", "name"),
    [(0o022, "my project"), (0o077, "it's my project"), (0o027, "a; b & (c) [d] é")],
    indirect=["umask"],
    ids=["umask 022", "umask 077", "umask 027"],
)
def test_it_comes_up(umask: None, folder: Path, name: str):
    server = EmbeddedPostgres(folder / name, durable=False)
    try:
        server.start()
        with psycopg.connect(server.dsn()) as connection:
            assert connection.execute("select current_user").fetchone() == ("pipeline",)
    finally:
        place = (server.home / "data").resolve().parent
        server.stop()
        shutil.rmtree(place)
    assert (server.state / "secrets.json").stat().st_mode & 0o777 == 0o600
