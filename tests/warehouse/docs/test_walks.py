"""The walks of the documents, done as they are written: each ends with `make lint test-unit`, green.

One of them ends with the project as it was before, of which CI's own run of that command speaks.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.services.postgres import INSTALL
from dev.tlc.mirror import TlcMirror
from include.datasets import DATASETS, YELLOW
from include.lineage.graph import read
from include.settings import ROOT
from tests.support.dbt.project import Project
from tests.support.dbt.project_copy import ProjectCopy, project_copy
from tests.support.documents import commands, section, write_files
from tests.support.postgres.warehouse_content import content, query

pytestmark = pytest.mark.long

DOCS = ROOT / "docs"
ADD_A_MODEL, ADD_A_DATASET = DOCS / "tutorial" / "add-a-model.md", DOCS / "how-to" / "add-a-dataset.md"
RETIRE, REMOVE = DOCS / "how-to" / "retire-a-model.md", DOCS / "how-to" / "remove-a-dataset.md"
CHANGE_TYPE = DOCS / "how-to" / "change-a-columns-type.md"
CHECK = "make lint test-unit"
COMMIT = "git add . && git -c user.name=a -c user.email=a@b commit --quiet --message=done"
SQL = re.compile(r"```sql\n(?!-- file)(.*?)```", re.DOTALL)


def sh(copy: ProjectCopy, command: str) -> str:
    """A command in the project's folder, as a developer gives it; its output."""
    inherited = {name: each for name, each in os.environ.items() if not name.startswith(("PG", "DBT_", "AIRFLOW"))}
    inherited.pop("PYTHONPATH", None)
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=copy.folder,
        env=inherited,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def is_checked(copy: ProjectCopy, text: str) -> None:
    """The walk's own last command, on what the walk has written.

    In one process the unit tests take 24 s of CPU, in the two of the Makefile 40 s: each imports Airflow and all tests.
    """
    assert CHECK in commands(text)
    said = sh(copy, f"{CHECK} ARGS=--numprocesses=0")
    assert re.search(r"\d+ passed", said), said


def psql(text: str, dsn: str) -> None:
    """Runs the text's blocks of SQL by psql, whose commands they use."""
    client = Path(sysconfig.get_path("purelib")) / INSTALL / "bin" / "psql"
    for statements in SQL.findall(text):
        done = subprocess.run(
            [client, "--no-psqlrc", "--set=ON_ERROR_STOP=1", dsn],
            input=statements,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[ProjectCopy]:
    """The project in a folder of its own, under git, with this project's environment, mypy's cache and bytecode.

    For the tests' files alone pytest takes 8 s of CPU to make it.
    """
    with project_copy(tmp_path / "project") as copy:
        for made in ROOT.glob("[!.]*/**/__pycache__"):
            shutil.copytree(made, copy.folder / made.relative_to(ROOT), dirs_exist_ok=True)
        state = copy.folder / ".local"
        state.mkdir()
        (state / "venv").symlink_to((ROOT / ".local" / "venv").resolve())
        if (cache := ROOT / ".local" / "mypy").is_dir():
            shutil.copytree(cache, state / "mypy")
        sh(copy, f"git init --quiet && {COMMIT}")
        yield copy


def project_of(copy: ProjectCopy, built: Project) -> dict[str, str]:
    """Variables by which `Project` uses the copy's dbt project."""
    return {"DBT_PROJECT_DIR": str(copy.folder / "dbt"), "DBT_TARGET_PATH": str(copy.folder / ".local" / "target")}


def test_a_dataset_of_another_shape(copy: ProjectCopy):
    text = ADD_A_DATASET.read_text()
    assert len(write_files(text, copy.folder)) == 10
    is_checked(copy, text)
    assert "lineage" not in copy.run("include", "docs"), "a published column leads nowhere"
    assert len(read(copy.folder / "dbt" / "site" / "lineage.json")) == len(DATASETS) + 1


def test_a_model_is_added_and_retired(copy: ProjectCopy, built: Project):
    added = ADD_A_MODEL.read_text()
    write_files(added, copy.folder)
    is_checked(copy, added)
    own = project_of(copy, built)
    done = built.build("2024-01", "--select", "int_payment_types", "fct_payment_types", **own)
    assert done.returncode == 0, done.output
    assert query(built.dsn, "select count(*) > 0 from airflow_default.fct_payment_types") == [(True,)]
    sh(copy, COMMIT)
    before = content(built.dsn)

    text = RETIRE.read_text()
    for command in commands(text):
        if not command.startswith("make"):
            said = sh(copy, command)
            assert command.startswith("git rm") or "payment_types" in said
    assert write_files(text, copy.folder) == ["docs/reference/published-tables.md"]
    assert CHECK in commands(text)
    assert sh(copy, "git add . && git diff --cached --stat HEAD~1") == "", "not as before the model"
    psql(text.replace("drop table airflow_default_yellow.fct_payment_types;", ""), built.dsn)
    assert query(built.dsn, "select relname from pg_class where relname ~ 'fct_payment_types'") == []
    done = built.build("2024-01", **own)
    assert done.returncode == 0, done.output
    assert content(built.dsn) == before


def test_yellow_is_removed(copy: ProjectCopy, built: Project, target: Path, tlc: TlcMirror):
    yellow = Project(built.dsn, tlc, target, YELLOW)
    yellow.load("2024-01")
    yellow.publish("2024-01")
    counts = "select dataset, count(*) > 0 from airflow_default.all_trips group by 1 order by 1"
    assert query(built.dsn, counts) == [("green", True), ("yellow", True)]
    before = content(built.dsn)

    text = section(REMOVE, "## Without yellow taxis")
    assert write_files(text, copy.folder) == ["include/datasets.py"]
    is_checked(copy, text)
    psql(text, built.dsn)
    assert query(built.dsn, "select nspname from pg_namespace where nspname ~ 'yellow'") == []
    assert built.build("2024-01", **project_of(copy, built)).returncode == 0
    assert query(built.dsn, counts) == [("green", True)]
    assert content(built.dsn) == before


def test_taxis_are_removed(copy: ProjectCopy):
    write_files(ADD_A_DATASET.read_text(), copy.folder)
    text = section(REMOVE, "## Without taxis")
    assert write_files(text, copy.folder) == ["include/datasets.py"]
    is_checked(copy, text)


TYPE = """
    select format_type(atttypid, atttypmod) from pg_attribute
    where attrelid = 'airflow_default.fct_trips'::regclass and attname = 'passenger_count'
"""


def test_a_published_column_s_type_is_changed(copy: ProjectCopy, built: Project, target: Path, tlc: TlcMirror):
    yellow = Project(built.dsn, tlc, target, YELLOW)
    yellow.load("2024-01")
    yellow.publish("2024-01")
    january = "select * from airflow_default.all_trips where source_month = '2024-01-01' order by 1, 2, 3"
    before = content(built.dsn, month="2024-01"), query(built.dsn, january)
    own = project_of(copy, built)

    text = CHANGE_TYPE.read_text()
    assert len(write_files(text, copy.folder)) == 3
    is_checked(copy, text)
    # nothing is published before the tables were altered, and the message says why
    built.load("2024-02")
    done = built.build("2024-02", **own)
    assert done.returncode == 1
    refused = "fct_trips stays as it was: passenger_count is integer, and the contract says bigint. Alter the table"
    assert refused in done.output
    assert query(built.dsn, "select count(*) from airflow_default.fct_trips where source_month = '2024-02-01'") == [
        (0,)
    ]

    psql(text, built.dsn)
    assert query(built.dsn, TYPE) == [("bigint",)]
    assert (content(built.dsn, month="2024-01"), query(built.dsn, january)) == before
    done = built.build("2024-02", **own)
    assert done.returncode == 0, done.output
    assert query(built.dsn, "select count(*) > 0 from airflow_default.all_trips where source_month = '2024-02-01'") == [
        (True,)
    ]
