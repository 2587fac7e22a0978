"""A deployment of an earlier revision goes on, after this one is put in its place."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from importlib.metadata import distributions
from pathlib import Path

import pytest

from dev.tlc.mirror import TlcMirror
from dev.tlc.sample_months import write_zones
from include.settings import ROOT
from tests.support.dbt.project_copy import LEFT_OUT, ProjectCopy
from tests.support.postgres.warehouse_content import columns, columns_of_contracts, query
from tests.support.stack.pipeline import Pipeline

pytestmark = pytest.mark.long

# The first one from which an upgrade is promised, with what makes dbt's manifest there; and the last one with the names
# of runs that it had.
REVISIONS = {"82bd931": ["dbt.cli.main", "--quiet", "parse", "--project-dir", "dbt", "--profiles-dir", "profiles"]}
REVISIONS["3af4717"] = ["include", "manifest"]
BEFORE, AFTER = "2022-03", "2022-04"
SUM = "select count(*), sum(total_amount) from airflow_default.fct_trips where source_month = %s"


def of_revision(revision: str, folder: Path) -> ProjectCopy:
    """The project as it was, and what its lock has that this environment lacks. Skips where that cannot be had."""
    packed = subprocess.run(["git", "archive", revision], cwd=ROOT, capture_output=True)
    if packed.returncode:
        pytest.skip(f"Revision {revision} is not in this clone: git fetch --unshallow")
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", folder], input=packed.stdout, check=True)
    locked = re.split(r"^(?=\w)", (folder / "dev" / "requirements.lock").read_text(), flags=re.MULTILINE)
    there = {re.sub(r"[-_.]+", "-", each.name).lower() for each in distributions()}
    missing = [each for each in locked if "==" in each and each.partition("==")[0] not in there]
    lock = folder / "missing.lock"
    lock.write_text("".join(missing))
    words = ["pip", "install", "--no-deps", "--require-hashes", "--target", folder, "-r", lock]
    done = subprocess.run([Path(sys.executable).with_name("uv"), *words], capture_output=True, text=True)
    if missing and done.returncode:
        pytest.skip(f"What revision {revision} needs beside this environment cannot be installed: {done.stderr}")
    return ProjectCopy(folder)


def put_this_revision_in_place(project: ProjectCopy) -> None:
    """As `git pull` does, over a stack that runs."""
    for each in project.folder.iterdir():
        if each.name == ".local":
            continue
        shutil.rmtree(each) if each.is_dir() else each.unlink()
    shutil.copytree(ROOT, project.folder, ignore=LEFT_OUT, dirs_exist_ok=True)


@pytest.mark.parametrize("revision", REVISIONS)
def test_months_of_before_stay_and_can_be_made_again_and_the_next_one_comes(
    revision: str, tlc: TlcMirror, tmp_path: Path
):
    project = of_revision(revision, tmp_path / "project")
    pipeline, began, source = Pipeline(project.stack, tlc), time.monotonic(), {"TLC_DIR": str(tlc.folder)}
    for month in (BEFORE, AFTER):
        pipeline.publish_file(month)
    write_zones(tlc.folder)
    try:
        project.run(*REVISIONS[revision])
        project.run("dev", "up", **source)
        project.run("dev", "backfill", FROM=BEFORE, TO=BEFORE, **source)
        put_this_revision_in_place(project)
        project.run("include", "manifest")
        said = " ".join(project.run("dev", "up", **source).split())
        lacks = revision == "82bd931"
        assert ("default_pool has 128 slots, as an earlier version made it" in said) == lacks, said
        print(f"{revision}: upgraded after {time.monotonic() - began:.0f} s")
        [published] = query(pipeline.dsn, SUM, f"{BEFORE}-01")
        assert published[0] > 0
        earlier_run = pipeline.run_of(BEFORE)
        pipeline.backfill(AFTER)
        assert query(pipeline.dsn, SUM, f"{BEFORE}-01") == [published]
        assert columns(pipeline.dsn) == columns_of_contracts()
        pipeline.clear_run(earlier_run)
        assert pipeline.wait(earlier_run) == "success", pipeline.states(earlier_run)
        print(f"{revision}: both months after {time.monotonic() - began:.0f} s")
        for month in (BEFORE, AFTER):
            assert pipeline.content(month) == pipeline.content_of_a_clean_load(month, tmp_path / "target"), month
        assert {each["month"]: each["state"] for each in pipeline.ledger() if each["month"] in (BEFORE, AFTER)} == {
            BEFORE: "published",
            AFTER: "published",
        }
    finally:
        project.run("dev", "down")
        print(f"{revision}: {time.monotonic() - began:.0f} s")
