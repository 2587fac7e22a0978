"""The version of the dbt project's SQL that makes a dataset's months: a hash of models, their macros and data tests.

Comments, blank space, descriptions and unit tests do not count, nor do other datasets' models, the macros that publish
and audit (only what the SQL of a model or test calls counts), or dbt's own. Datasets with the same models have the same
version. Dagster calls it a code version, SQLMesh a fingerprint.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
import yaml

from include.settings import DBT_MANIFEST, ROOT
from include.support.fingerprint import State, state_of

# Notes in the manifest's metadata.env: the variables of dbt_project.yml as JSON, and git's commit, if there is one.
VARIABLES, GIT_REVISION = "VARIABLES", "GIT_REVISION"
# The variables by which dbt knows them: dbt/macros/run/code_version.sql.
OF_CODE = ("CODE_VERSION", "GIT_REVISION")
# Stands before the version at the end of a slice's comment, as dbt's macro `made_by` writes it.
MADE_BY = "; code "
# Texts, of which not even a blank may change; comments of Jinja and of SQL, which do not count; words; other signs.
TOKENS = re.compile(
    r"""(?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")|\{\#.*?\#\}|--[^\n]*|/\*.*?\*/|(?P<word>\w+)|(?P<sign>[^\w\s])""",
    re.DOTALL,
)
VARIABLE = re.compile(r"\bvar \( ['\"](\w+)['\"]")
OF_DBT = ("macro.dbt.", "macro.dbt_postgres.")
# Of a node's configuration, what says nothing about its rows.
WITHOUT_EFFECT = {"description", "docs", "group", "tags", "access", "persist_docs"}


@dataclass(frozen=True)
class CodeVersion:
    """`version`: 12 hexadecimal digits. `models`: a hash of each model, by name, with its macros and data tests.

    A test of raw tables stands in `models` by its own name. `variables`: those that the SQL reads, with their values.
    `git_revision`: the commit that the manifest was made from, if there was one.
    """

    version: str
    models: dict[str, str]
    variables: dict[str, Any]
    git_revision: str | None = None

    def changed_since(self, models: Mapping[str, str]) -> list[str]:
        """The names of the models that are other than these, or only in one of both, in order."""
        return sorted(name for name in self.models.keys() | models.keys() if self.models.get(name) != models.get(name))


def code_version(folder: str) -> CodeVersion | None:
    """The version of the models in this folder, of the manifest that is there now; None where it is not whole."""
    try:
        return _of_present_manifest(state_of(DBT_MANIFEST), folder)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def dbt_variables(folder: str) -> dict[str, str]:
    """OF_CODE for dbt's environment: the present version, and git's commit where there is one."""
    if (present := code_version(folder)) is None:
        return {}
    known = zip(OF_CODE, (present.version, present.git_revision), strict=True)
    return {name: value for name, value in known if value}


def version_of_manifest(manifest: Mapping[str, Any], folder: str) -> CodeVersion:
    """The version of the models in this folder (below staging, intermediate and marts), of dbt's manifest."""
    nodes, macros, notes = manifest["nodes"], manifest["macros"], manifest["metadata"].get("env", {})
    variables = json.loads(notes.get(VARIABLES, "{}"))
    models = _with_parents(nodes, (id for id, node in nodes.items() if _is_of(node, folder)))
    parts: dict[str, list[Any]] = {nodes[id]["name"]: [] for id in models}
    for id, node in sorted(nodes.items()):
        if id in models:
            parts[node["name"]].append(_content(node, macros))
        elif node["resource_type"] == "test" and _is_test_of(node, models, nodes):
            owner = node.get("attached_node")
            parts.setdefault(nodes[owner]["name"] if owner in models else node["name"], []).append(
                [node["name"], _content(node, macros)]
            )
    read: dict[str, Any] = {}
    for part in parts.values():
        used = sorted(set(VARIABLE.findall(json.dumps(part).replace('\\"', '"'))) & variables.keys())
        part.append({name: variables[name] for name in used})
        read |= part[-1]
    hashed = {name: _digest(part) for name, part in sorted(parts.items())}
    return CodeVersion(_digest(hashed), hashed, read, notes.get(GIT_REVISION))


def notes_of(project: Path, repository: Path = ROOT) -> dict[str, str]:
    """The notes for the manifest of a dbt project in this folder: its variables, and git's commit, if there is one.

    The commit ends in `-dirty` where the project's files are not as committed.
    """
    notes = variables_of(project)
    if commit := _git(repository, "rev-parse", "--short=12", "HEAD"):
        changed = _git(repository, "status", "--porcelain", "--", str(project))
        notes[GIT_REVISION] = f"{commit}-dirty" if changed else commit
    return notes


def variables_of(project: Path) -> dict[str, str]:
    """The note of the variables that the project's file declares."""
    return {VARIABLES: json.dumps(declared_variables(project))}


def declared_variables(project: Path) -> dict[str, Any]:
    """`vars` of the project's file: the numbers of its rules."""
    return dict(yaml.safe_load((project / "dbt_project.yml").read_text(encoding="utf-8")).get("vars") or {})


def _git(repository: Path, *words: str) -> str | None:
    """What git says; None without git, or outside of a repository."""
    try:
        done = subprocess.run(["git", "-C", str(repository), *words], capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _is_of(node: Mapping[str, Any], folder: str) -> bool:
    return bool(node["resource_type"] == "model" and node["original_file_path"].split("/")[2:3] == [folder])


def _is_test_of(test: Mapping[str, Any], models: set[str], nodes: Mapping[str, Any]) -> bool:
    """Whether the test reads one of these models, or a raw table that they read, and no other model."""
    parents = test["depends_on"]["nodes"]
    raw = {id for model in models for id in nodes[model]["depends_on"]["nodes"] if id not in nodes}
    return bool(models.intersection(parents) or raw.intersection(parents)) and not (
        {id for id in parents if id in nodes} - models
    )


def _with_parents(nodes: Mapping[str, Any], ids: Iterable[str]) -> set[str]:
    found: set[str] = set()
    left = list(ids)
    while left:
        if (id := left.pop()) not in found and id in nodes:
            found.add(id)
            left += nodes[id]["depends_on"]["nodes"]
    return found


def _content(node: Mapping[str, Any], macros: Mapping[str, Any]) -> list[Any]:
    """What makes the node's rows, or the test's verdict, as JSON can say it."""
    code = tokens_of(node["raw_code"]) if node.get("raw_code") else node.get("checksum")
    config = {name: node["config"].get(name) for name in node["unrendered_config"]}
    columns = [
        [column["name"], column.get("data_type"), [_constraint(each) for each in column.get("constraints") or ()]]
        for column in node["columns"].values()
    ]
    return [
        code,
        {name: value for name, value in sorted(config.items()) if name not in WITHOUT_EFFECT},
        columns if (node["config"].get("contract") or {}).get("enforced") else [],
        [_constraint(each) for each in node.get("constraints") or ()],
        (node.get("test_metadata") or {}).get("kwargs"),
        # the macros that hooks call are the gate's, which judges rows and makes none
        {id: tokens_of(macros[id]["macro_sql"]) for id in _called(node, code, macros)},
    ]


def _constraint(constraint: Mapping[str, Any]) -> list[Any]:
    return [constraint.get("type"), constraint.get("expression"), constraint.get("columns")]


def _called(node: Mapping[str, Any], code: Any, macros: Mapping[str, Any]) -> list[str]:
    """The ids of the macros that the node's SQL calls, and of those that these call, without dbt's own."""
    words = set(code.split()) if isinstance(code, str) else set()
    left = [id for id in node["depends_on"]["macros"] if id.rpartition(".")[2] in words]
    found: set[str] = set()
    while left:
        if (id := left.pop()) not in found and id in macros and not id.startswith(OF_DBT):
            found.add(id)
            left += macros[id]["depends_on"]["macros"]
    return sorted(found)


def tokens_of(code: str) -> str:
    """SQL and Jinja as words and signs with one blank between them, without comments."""
    return " ".join(found[0] for found in TOKENS.finditer(code) if found.lastgroup)


def _digest(content: Any) -> str:
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)).hexdigest()[:12]


# `written`: the manifest's state, for the cache, which a process forked from this one inherits.
@lru_cache(maxsize=8)
def _of_present_manifest(written: State | None, folder: str) -> CodeVersion:
    return version_of_manifest(orjson.loads(DBT_MANIFEST.read_bytes()), folder)
