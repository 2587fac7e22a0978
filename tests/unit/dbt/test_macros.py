"""Macros call downwards only, and what replaces a macro of dbt's own stands in a folder, and in a file of its name."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import PurePosixPath
from typing import Any

from include.settings import DBT_MANIFEST

# A macro calls those of its own folder and of the lines below it, and no neighbour's.
LAYERS = [{"overrides"}, {"publish"}, {"gate"}, {"run", "values"}]
LEVEL = {folder: level for level, folders in enumerate(reversed(LAYERS)) for folder in folders}

MACROS: dict[str, dict[str, Any]] = json.loads(DBT_MANIFEST.read_text())["macros"]
OF_DBT = {macro["name"] for macro in MACROS.values() if macro["package_name"] in ("dbt", "dbt_postgres")}


def file_of(macro: dict[str, Any]) -> PurePosixPath:
    return PurePosixPath(macro["original_file_path"])


OURS = {
    id: macro
    for id, macro in MACROS.items()
    if macro["package_name"] == "taxi" and file_of(macro).is_relative_to("macros")
}
CALLS = [(macro, OURS[id]) for macro in OURS.values() for id in macro["depends_on"]["macros"] if id in OURS]


def replaces_one_of_dbt_s(name: str) -> bool:
    """By dbt's rules: one of the same name, or this adapter's version of one."""
    materialization = re.fullmatch("materialization_(.+)_postgres", name)
    of_any_adapter = f"materialization_{materialization[1]}_default" if materialization else None
    return bool({name, name.removeprefix("postgres__"), of_any_adapter} & OF_DBT)


def test_every_macro_is_in_a_folder_of_the_layers():
    assert {file_of(macro).parent.as_posix() for macro in OURS.values()} == {f"macros/{folder}" for folder in LEVEL}


def test_a_macro_calls_its_own_folder_and_those_below():
    assert len(CALLS) > 50
    upwards = [
        f"{file_of(caller)}: {caller['name']} calls {called['name']} of {file_of(called)}"
        for caller, called in CALLS
        if (above := file_of(caller).parent.name) != (below := file_of(called).parent.name)
        and LEVEL[above] <= LEVEL[below]
    ]
    assert upwards == []


def test_no_two_files_call_each_other():
    """Nor any more in a circle."""
    called_by_file: dict[PurePosixPath, set[PurePosixPath]] = defaultdict(set)
    for caller, called in CALLS:
        if file_of(caller) != file_of(called):
            called_by_file[file_of(caller)].add(file_of(called))
    assert len(called_by_file) > 10
    TopologicalSorter(called_by_file).prepare()  # raises CycleError, with the files


def test_what_replaces_a_macro_of_dbt_s_own_is_an_override_and_nothing_else_is():
    overrides = {macro["name"] for macro in OURS.values() if file_of(macro).parent.name == "overrides"}
    assert overrides == {macro["name"] for macro in OURS.values() if replaces_one_of_dbt_s(macro["name"])}


def test_an_override_stands_in_a_file_of_its_name():
    overrides = [macro for macro in OURS.values() if file_of(macro).parent.name == "overrides"]
    assert overrides
    assert [macro["name"] for macro in overrides] == [file_of(macro).stem for macro in overrides]
