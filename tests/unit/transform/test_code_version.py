"""The version of a dataset's SQL changes with what makes its rows, and with nothing else."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from include.settings import DBT_MANIFEST
from include.transform.code_version import VARIABLES, code_version, dbt_variables, notes_of, version_of_manifest

MANIFEST: dict[str, Any] = json.loads(DBT_MANIFEST.read_bytes())
JUDGED = "model.taxi.int_trips_judged"


def replaced(kind: str, id: str, field: str, old: str, new: str) -> Callable[[dict[str, Any]], None]:
    """A change of a manifest: in this field of this node, one text for another."""

    def change(manifest: dict[str, Any]) -> None:
        [found] = [each for name, each in manifest[kind].items() if name == id or name.startswith(f"{id}.")]
        assert old in found[field], f"{field} of {id} has no {old}"
        found[field] = found[field].replace(old, new)

    return change


def changed(change: Callable[[dict[str, Any]], None]) -> list[str]:
    """The models that the change makes other ones; their version is another just then."""
    manifest = copy.deepcopy(MANIFEST)
    change(manifest)
    before, after = version_of_manifest(MANIFEST, "tlc"), version_of_manifest(manifest, "tlc")
    models = after.changed_since(before.models)
    assert (after.version != before.version) == bool(models)
    return models


def contract(manifest: dict[str, Any]) -> None:
    manifest["nodes"]["model.taxi.fct_trips"]["columns"]["tip_amount"]["data_type"] = "numeric(14, 2)"


def described(manifest: dict[str, Any]) -> None:
    for node in manifest["nodes"].values():
        node["description"] = "another text"
        for column in node["columns"].values():
            column["description"] = "another text"


def argument(manifest: dict[str, Any]) -> None:
    [test] = [each for each in manifest["nodes"].values() if each["name"] == "reject_share_is_plausible"]
    test["test_metadata"]["kwargs"]["share"] = 0.02


def another_dataset(manifest: dict[str, Any]) -> None:
    model = copy.deepcopy(manifest["nodes"]["model.taxi.stg_tlc__trips"])
    model |= {"name": "stg_bikes", "original_file_path": "models/staging/bikes/stg_bikes.sql"}
    manifest["nodes"]["model.taxi.stg_bikes"] = model


COUNTS = {
    "a bound": (replaced("nodes", JUDGED, "raw_code", "dropoff_at < pickup_at", "dropoff_at <= pickup_at"), JUDGED),
    "a text": (replaced("nodes", JUDGED, "raw_code", "'value_missing'", "'value  missing'"), JUDGED),
    "a macro that it calls": (
        replaced("macros", "macro.taxi.all_possible", "macro_sql", ") < ", ") <= "),
        "int_months, int_trips_judged",
    ),
    "a column's type": (contract, "fct_trips"),
    "an audit's bound": (argument, JUDGED),
    "an audit's SQL": (
        replaced("macros", "macro.taxi.test_reject_share_at_most", "macro_sql", "select", "select distinct"),
        JUDGED,
    ),
    "a test of a raw table": (
        replaced("macros", "macro.taxi.test_rows_as_logged", "macro_sql", "select", "select distinct"),
        "raw_trips_hold_the_rows_that_were_logged",
    ),
}


@pytest.mark.parametrize(("change", "models"), COUNTS.values(), ids=COUNTS)
def test_what_makes_or_judges_rows_counts(change: Callable[[dict[str, Any]], None], models: str):
    assert ", ".join(changed(change)) == models.rpartition(".")[2]


COUNTS_NOT = {
    "a comment": replaced("nodes", JUDGED, "raw_code", "-- dollars, whatever the sign", "-- its rows' dollars"),
    "a comment of a macro": replaced("macros", "macro.taxi.refused_values", "macro_sql", "these take", "they take"),
    "blank space": replaced("nodes", JUDGED, "raw_code", "\n", "\n\n  "),
    "descriptions": described,
    "what audits and publishes": replaced("macros", "macro.taxi.note_content", "macro_sql", "content", "found"),
    "dbt itself": replaced("macros", "macro.dbt.test_not_null", "macro_sql", "dispatch", "dispatched"),
    "another dataset": another_dataset,
}


@pytest.mark.parametrize("change", COUNTS_NOT.values(), ids=COUNTS_NOT)
def test_nothing_else_counts(change: Callable[[dict[str, Any]], None]):
    assert changed(change) == []


def test_a_variable_counts_where_the_sql_reads_it():
    def variables(**values: int) -> dict[str, Any]:
        manifest = copy.deepcopy(MANIFEST)
        manifest["nodes"][JUDGED]["raw_code"] += "{{ var('most') }}"
        manifest["metadata"]["env"][VARIABLES] = json.dumps(values)
        return manifest

    before = version_of_manifest(variables(most=1), "tlc")
    assert version_of_manifest(variables(most=1, other=1), "tlc") == before
    assert version_of_manifest(variables(most=2), "tlc").changed_since(before.models) == ["int_trips_judged"]
    assert before.variables["most"] == 1


def test_a_model_that_is_gone_or_new_is_named():
    present = version_of_manifest(MANIFEST, "tlc")
    others = {**present.models, "fct_old": "0"}
    del others["fct_trips"]
    assert present.changed_since(others) == ["fct_old", "fct_trips"]


def test_dbt_is_told_the_version_of_the_manifest_that_is_there():
    present = code_version("tlc")
    assert present is not None
    assert dbt_variables("tlc")["CODE_VERSION"] == present.version == version_of_manifest(MANIFEST, "tlc").version


@pytest.mark.skipif(not shutil.which("git"), reason="there is no git here, as in an image")
def test_the_commit_is_noted_and_whether_the_project_is_as_committed(tmp_path: Path):
    (tmp_path / "dbt").mkdir()
    (tmp_path / "dbt" / "dbt_project.yml").write_text("name: taxi\nvars: {most: 3}\n")
    assert notes_of(tmp_path / "dbt", tmp_path) == {VARIABLES: '{"most": 3}'}, "no repository"
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], check=True)
    commit = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], check=True, capture_output=True, text=True)
    assert notes_of(tmp_path / "dbt", tmp_path)["GIT_REVISION"] == commit.stdout.strip()
    (tmp_path / "dbt" / "new.sql").write_text("select 1")
    assert notes_of(tmp_path / "dbt", tmp_path)["GIT_REVISION"] == f"{commit.stdout.strip()}-dirty"
