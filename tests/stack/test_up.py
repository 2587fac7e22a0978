"""`make up` on a stack that runs, after the manifest its DAG is drawn from was damaged or made anew."""

from __future__ import annotations

import time
from subprocess import CalledProcessError

import pytest

from dev.airflow_api import instant
from include.datasets import GREEN
from tests.support.project_copy import ProjectCopy


@pytest.fixture
def up(copied_project: ProjectCopy) -> ProjectCopy:
    """The copy with its stack up."""
    copied_project.run("include.manifest")
    copied_project.run("dev", "up")
    return copied_project


def dag(project: ProjectCopy) -> dict:
    return project.stack.api.call("GET", f"/dags/{GREEN.dag_id}")


def test_the_error_of_a_manifest_that_was_damaged_is_not_that_of_the_one_made_since(up: ProjectCopy):
    api = up.stack.api
    up.manifest.write_bytes(up.manifest.read_bytes()[:1000])
    with pytest.raises(CalledProcessError) as failed:
        up.run("dev", "up")
    said = " ".join(failed.value.output.split())  # the console breaks lines
    assert "is damaged, and the DAG is drawn from it. Make it anew" in said
    assert "-m include.manifest" in said
    assert [error for error in api.pages("/importErrors", "import_errors") if error["stack_trace"]]
    up.run("include.manifest")
    made = time.time()
    up.run("dev", "up")
    assert list(api.pages("/importErrors", "import_errors")) == []
    found = dag(up)
    assert (found["is_stale"], found["has_import_errors"]) == (False, False)
    assert instant(found["last_parsed_time"]) > made


def test_a_manifest_made_anew_is_drawn_before_up_returns(up: ProjectCopy):
    up.run("include.manifest")
    made, began = up.manifest.stat().st_mtime, time.monotonic()
    up.run("dev", "up")
    found = dag(up)
    assert instant(found["last_parsed_time"]) - found["last_parse_duration"] >= made
    assert time.monotonic() - began < 25, "asked for, not waited for: Airflow reads the file again after 30 s"
