"""The manifest the DAG is drawn from: refused by name if damaged, made by one command, written by no other."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from include.settings import DBT_MANIFEST, ROOT
from include.transform.manifest import is_whole
from tests.support.documents import shows

COMMAND = "python -m include manifest"
WHOLE = DBT_MANIFEST.read_bytes()
DAMAGED = {
    "empty": b"",
    "cut": WHOLE[: len(WHOLE) // 2],
    "cut by one byte": WHOLE[:-1],
    "zeros, as after a crash of the machine": b"\0" * len(WHOLE),
    "not UTF-8": b"\xff" + WHOLE,
    "a list": b"[]",
    "null": b"null",
    "no nodes": b"{}",
    "nodes of another kind": b'{"nodes": 7}',
    "no node": json.dumps(json.loads(WHOLE) | {"nodes": {}}).encode(),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of all that the DAG needs, its manifest included."""
    for folder in ("config", "dags", "dbt", "include", "profiles"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("target", "logs", "__pycache__")
        )
    return tmp_path


def run(project: Path, *words: str, **environment: str) -> subprocess.CompletedProcess:
    """A program of this environment in the project, both outputs in `stdout`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "DBT_", "PYTHON"))}
    program = [str(Path(sys.executable).with_name(words[0])), *words[1:]]
    return subprocess.run(
        program,
        cwd=project,
        env=inherited | {"PYTHONPATH": str(project)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


# ---------- what the DAG does with a damaged one

DRAW = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
from include.settings import DBT_MANIFEST
found = {}
for name, content in json.load(sys.stdin).items():
    if content is None:
        DBT_MANIFEST.unlink()
    else:
        DBT_MANIFEST.write_bytes(content.encode("latin-1"))
    bag = DagBag("dags/pipelines.py", load_op_links=False)
    found[name] = [list(bag.import_errors.values()), list(bag.dags)]
print("FOUND", json.dumps(found))
"""


def test_a_manifest_that_is_missing_or_damaged_is_named_with_the_command_that_makes_it(project: Path):
    given = {name: content.decode("latin-1") for name, content in DAMAGED.items()} | {"missing": None}
    done = subprocess.run(
        [sys.executable, "-c", DRAW],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project)},
        input=json.dumps(given),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.rpartition("FOUND")[2])
    assert set(found) == set(given)
    for name, (errors, dags) in found.items():
        assert dags == [], name
        assert len(errors) == 1, name
        last = errors[0].strip().splitlines()[-1]
        assert "SettingError" in last, f"{name}: {last}"
        assert f"{project}/dbt/manifest/manifest.json" in last, name
        assert COMMAND in last, name


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_manifest_is_not_taken_for_a_whole_one(tmp_path: Path, content: bytes):
    file = tmp_path / "manifest.json"
    file.write_bytes(content)
    assert not is_whole(file)


def test_the_manifest_of_now_is_whole():
    assert is_whole()
    assert not is_whole(DBT_MANIFEST.with_name("none.json"))


# ---------- the command that makes it


@pytest.mark.long
def test_make_remakes_a_damaged_manifest_and_leaves_a_whole_one_alone(project: Path):
    shutil.copy(ROOT / "Makefile", project)
    (project / "dev").mkdir()
    shutil.copy(ROOT / "dev" / "requirements.lock", project / "dev")
    (project / ".local").mkdir()
    venv = project / ".local" / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (venv / "bin" / "python").chmod(0o755)
    shutil.copy(ROOT / "dev" / "requirements.lock", venv / ".locked")
    file = project / "dbt" / "manifest" / "manifest.json"
    for content in (None, DAMAGED["empty"]):
        file.unlink() if content is None else file.write_bytes(content)
        done = subprocess.run(["make", "manifest"], cwd=project, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert is_whole(file), content
    made = file.stat().st_mtime_ns
    assert subprocess.run(["make", "manifest"], cwd=project, capture_output=True).returncode == 0
    assert file.stat().st_mtime_ns == made


def test_a_project_that_dbt_refuses_leaves_the_manifest_as_it_was_and_says_why(project: Path):
    before = (project / "dbt/manifest/manifest.json").read_bytes()
    (project / "dbt/models/marts/broken.sql").write_text("select * from {{ ref('nowhere') }}")
    done = run(project, "python", "-m", "include", "manifest")
    assert done.returncode == 1
    assert "nowhere" in done.stdout
    assert (project / "dbt/manifest/manifest.json").read_bytes() == before
    assert [file.name for file in (project / "dbt/manifest").iterdir()] == ["manifest.json"]


def test_the_command_needs_no_month_no_database_and_no_airflow(project: Path):
    (project / "dbt/manifest/manifest.json").unlink()
    done = run(project, "python", "-v", "-m", "include", "manifest", PG_RUN_SCHEMA="airflow_default_20240101")
    assert done.returncode == 0, done.stdout[-2000:]
    assert is_whole(project / "dbt/manifest/manifest.json")
    assert "import 'dbt.cli.main'" in done.stdout
    assert "import 'airflow" not in done.stdout


def test_document_image_and_makefile_make_it_by_the_same_command():
    for file in ("docs/how-to/deploy/airflow.md", "RUNBOOK.md", "Dockerfile", "Makefile"):
        assert "-m include manifest" in (ROOT / file).read_text(), file
        assert "dbt parse" not in (ROOT / file).read_text(), file
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert "dbt/manifest" in ignored, "the image makes its own"


# ---------- one that is stale

LOOK = """
import json
from airflow.dag_processing.dagbag import DagBag
bag = DagBag("dags", load_op_links=False)
print("FOUND", json.dumps([bag.import_errors, list(bag.dags)]))
"""


def look(project: Path) -> tuple[dict[str, str], set[str]]:
    """The import errors of the DAG folder, by the name of the file, and its DAGs."""
    done = run(project, "python", "-c", LOOK)
    assert "FOUND" in done.stdout, done.stdout
    errors, dags = json.loads(done.stdout.rpartition("FOUND")[2])
    return {Path(file).name: error for file, error in errors.items()}, set(dags)


@pytest.mark.long
def test_a_stale_manifest_is_an_import_error_beside_the_dags_and_a_fault_until_it_is_made_anew(project: Path):
    model = project / "dbt/models/marts/tlc/fct_trips.sql"
    errors, dags = look(project)
    assert errors == {}
    assert {"taxi_pipeline", "taxi_pipeline_yellow", "taxi_report", "taxi_maintenance"} <= dags
    model.write_text(f"{model.read_text()}-- edited\n")
    errors, still_there = look(project)
    assert still_there == dags, "with an error of their file, Airflow would start no task of any of their runs"
    assert list(errors) == ["stale_manifest.py"]
    last = errors["stale_manifest.py"].strip().splitlines()[-1]
    said = "manifest.json is stale: since it was made, dbt/models/marts/tlc/fct_trips.sql was changed"
    assert said in last
    assert last.endswith(f"Make it anew, in {project}: {COMMAND}")
    checked = run(project, "python", "-m", "include", "check")
    assert checked.returncode == 1
    assert said in checked.stdout
    shows("`manifest.json is stale`", "manifest.json is stale: since it was made, … was changed", last)
    assert run(project, "python", "-m", "include", "manifest").returncode == 0
    assert look(project) == ({}, dags)
    assert said not in run(project, "python", "-m", "include", "check").stdout


# ---------- nothing else writes it


@pytest.mark.long
def test_no_dbt_command_changes_the_manifest_the_dag_is_drawn_from(project: Path):
    file = project / "dbt/manifest/manifest.json"
    before = (file.read_bytes(), file.stat().st_mtime_ns)
    for folder, command in (
        (project, ["docs", "generate", "--no-compile", "--empty-catalog"]),
        (project, ["parse", "--vars", "{ds: 2031-07-01}"]),
        (project / "dbt", ["clean"]),  # dbt cleans where it stands, and nowhere else
    ):
        done = run(folder, "dbt", *command, "--project-dir", f"{project}/dbt", "--profiles-dir", f"{project}/profiles")
        assert done.returncode == 0, done.stdout
        assert (file.read_bytes(), file.stat().st_mtime_ns) == before, command
    assert not (project / "dbt/target").exists(), "dbt clean has cleaned"


# ---------- dbt's docs


@pytest.mark.long
def test_docs_are_made_beside_the_manifest_with_names_of_no_month(project: Path):
    manifest, page = project / "dbt/manifest/manifest.json", project / "dbt/site/index.html"
    before = manifest.read_bytes()
    done = run(project, "python", "-m", "include", "docs")
    assert done.returncode == 0, done.stdout[-2000:]
    text = page.read_text()
    assert '"schema": "airflow_default_YYYYMMDD"' in text
    assert '"schema": "airflow_default"' in text
    assert re.findall(r"airflow_default_\d+", text) == []
    assert manifest.read_bytes() == before
    assert sorted(file.name for file in page.parent.iterdir()) == ["index.html", "lineage.json"]
    # a project that dbt refuses leaves the docs as they were
    (project / "dbt/models/marts/broken.sql").write_text("select * from {{ ref('nowhere') }}")
    assert run(project, "python", "-m", "include", "docs").returncode == 1
    assert page.read_text() == text


def test_document_image_and_makefile_make_the_docs_by_the_same_command():
    for file in ("docs/how-to/deploy/airflow.md", "RUNBOOK.md", "Dockerfile", "Makefile"):
        assert "-m include docs" in (ROOT / file).read_text(), file
    assert "dbt/site" in (ROOT / ".dockerignore").read_text().split()
