"""What `make up` takes for a change of the code, and restarts the services or the workers for."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dev.services import airflow as airflow_services
from dev.services import celery as celery_workers
from dev.services.airflow import code_version
from dev.services.celery import revision_of_project
from include.support import fingerprint as file_state

FILES = ("config/airflow.cfg", "include/loader.py", "include/reports/page.html", "plugins/ledger.py")
VERSIONS = pytest.mark.parametrize("version", [code_version, revision_of_project])


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in (airflow_services, celery_workers, file_state):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    for name in (*FILES, "dev/requirements.lock"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("before")
    return tmp_path


@VERSIONS
@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_is_another_version(project: Path, version: Callable[[], str], name: str):
    before = version()
    (project / name).write_text("after")
    assert version() != before


@VERSIONS
def test_bytecode_that_a_service_has_written_is_not(project: Path, version: Callable[[], str]):
    before = version()
    for folder in ("config", "include", "include/reports", "plugins"):
        (project / folder / "__pycache__").mkdir()
        (project / folder / "__pycache__" / "module.cpython-312.pyc").write_bytes(b"compiled")
    assert version() == before
