"""Parses the dbt project once, in the process that dbt tasks are forked from, for all of them.

dbt parses the whole project anew where `--vars` or a schema differ from those of the parse it finds: for each run. But
the parses of two runs differ only in the names of the database and of the two schemas. So the project is parsed with
stand-ins for these names, and each task replaces them by the names of its own run.

A task that inherits no parse, such as one in a pod of its own, takes it from the manifest that the DAGs are drawn from.
"""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosmos.dbt.runner import run_command

from include.settings import DBT_MANIFEST, DBT_PROFILES, DBT_PROJECT
from include.transform.manifest import MADE_FROM, VERSIONS, arguments, versions
from include.transform.project_files import Files, changes_since, files_of

if TYPE_CHECKING:  # see operators.py
    from dbt.cli.main import dbtRunnerResult
    from dbt.contracts.graph.manifest import Manifest

NAMES = ("PG_DBNAME", "PG_SCHEMA", "PG_RUN_SCHEMA")
# The project has none of these names otherwise. A parse connects to nothing, so the other variables may be anything.
STAND_INS = {name: f"the_{name.lower()}" for name in NAMES}
ENVIRONMENT = dict.fromkeys(("PG_HOST", "PG_PORT", "PG_USER", "PG_PASSWORD"), "1") | STAND_INS


@dataclass(frozen=True)
class CachedParse:
    """dbt's parse, and the states of the files that it was made from."""

    manifest: Manifest
    files: Files


_cached: list[CachedParse] = []  # at most one
_refused: list[Files] = []  # at most one: the files that dbt refused last


def cache_parse() -> Manifest | None:
    """Parses the project for the processes that are forked from this one. None where dbt refuses it."""
    files = project_files()
    with tempfile.TemporaryDirectory() as target:
        # The second parse reads what the first one wrote, and needs other serializers for that. Its manifest alone
        # can be copied: in a copy of the first one's, dbt 1.11 takes one look-up table for another.
        for _ in range(2):
            # dbt's static parser keeps threads, and threads do not survive a fork: had this process used it, a task
            # forked from here would hang when it parses
            parsed = parse_project(Path(target), ENVIRONMENT, "--no-static-parser")
            if not parsed.success:
                break
    manifest: Any = parsed.result
    if not parsed.success or manifest is None:
        _refused[:] = [files]
        return None
    _cached[:] = [CachedParse(manifest, files)]
    return _cached[0].manifest


def renewed_parse() -> Manifest | None:
    """Parses the project again if a file was changed since it was cached. None where there is nothing new.

    A project that dbt refuses is parsed once, until another file is changed. Takes 2 ms where nothing is.
    """
    if not _cached or project_files() in (_cached[0].files, *_refused):
        return None
    return cache_parse()


def parse_of_run(environment: Mapping[str, str]) -> Manifest | None:
    """The cached parse, with the names from the run's PG_* variables.

    None where dbt has to parse for itself: neither a parse was cached nor is the manifest usable, or a file of the
    project was changed since.
    """
    if not environment.keys() >= set(NAMES):
        return None
    if not _cached:
        files = project_files()
        if manifest := parse_of_manifest():
            _cached[:] = [CachedParse(manifest, files)]
    if not _cached or _cached[0].files != project_files():
        return None
    names = {stand_in: environment[name] for name, stand_in in STAND_INS.items()}
    cached = _cached[0].manifest
    # A new Manifest has a lock of its own. Processes share the cached one's: a task that is killed while it holds that
    # would hold up all others for ever.
    manifest = copy.copy(cached)
    manifest.nodes = {key: _renamed(node, names) for key, node in cached.nodes.items()}
    manifest.sources = {key: _renamed(source, names) for key, source in cached.sources.items()}
    manifest.unit_tests = {key: _renamed(test, names) for key, test in cached.unit_tests.items()}
    manifest.flat_graph = cached.flat_graph | {
        kind: {key: fields | _own_names(fields, names) for key, fields in cached.flat_graph[kind].items()}
        for kind in ("nodes", "sources")
    }
    return manifest


def parse_of_manifest() -> Manifest | None:
    """The parse that the manifest was written from, under the stand-ins. It takes 0.5 s of CPU, and a parse 2.9 s.

    It lacks what only a later parse of dbt's would read: the states of the files. None where the manifest is not of the
    project's present files, which are compared by content, as the layers of an image change times; is of other versions
    of dbt or Python; or cannot be read.
    """
    try:
        content = json.loads(DBT_MANIFEST.read_bytes())
        notes = content["metadata"].pop("env")
        made_from, made_with = json.loads(notes[MADE_FROM]), json.loads(notes[VERSIONS])
        if made_with != versions() or changes_since(made_from, by_content=True) or not (names := _names_in(content)):
            return None
        for kind in ("nodes", "sources", "unit_tests"):
            for fields in content[kind].values():
                fields |= _own_names(fields, names)
        return _parse_from(content)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _names_in(content: Mapping[str, Any]) -> dict[str, str] | None:
    """The stand-ins, by the manifest's own names; None where two of these are the same.

    The sources are in the published schema, and what is in no published schema is in the run's.
    """
    tables = [*content["nodes"].values(), *content["sources"].values()]
    databases, schemas = ({table[name] for table in tables} for name in ("database", "schema"))
    published = {source["schema"] for source in content["sources"].values()}
    if [len(each) for each in (databases, published, schemas, databases | schemas)] != [1, 1, 2, 3]:
        return None
    return dict(zip((*databases, *published, *(schemas - published)), STAND_INS.values(), strict=True))


def _parse_from(content: Mapping[str, Any]) -> Manifest:
    """dbt reads a written manifest for `--state`, and there takes each generic test for a singular one."""
    from dbt.artifacts.schemas.manifest import WritableManifest
    from dbt.contracts.graph.manifest import Manifest
    from dbt.contracts.graph.nodes import GenericTestNode

    nodes = content["nodes"]
    generic = {key: GenericTestNode.from_dict(node) for key, node in nodes.items() if node.get("test_metadata")}
    others = {key: node for key, node in nodes.items() if key not in generic}
    manifest = Manifest.from_writable_manifest(WritableManifest.from_dict({**content, "nodes": others}))
    manifest.nodes = {key: generic.get(key) or manifest.nodes[key] for key in nodes}
    manifest.build_flat_graph()  # type: ignore[no-untyped-call]
    return manifest


def project_files() -> Files:
    """The state of each file that may change dbt's parse."""
    return files_of(DBT_PROJECT, DBT_PROFILES)


def parse_project(target: Path, environment: dict[str, str], *options: str) -> dbtRunnerResult:
    """Runs `dbt parse` in this process and leaves its result in `target`. Needs PG_*, and connects to nothing."""
    command = ["dbt", *arguments(target, "parse"), "--no-write-json", *options]
    return run_command(command, environment, cwd=str(DBT_PROJECT))


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    renamed = copy.copy(node)
    for field, value in _own_names(vars(node), names).items():
        setattr(renamed, field, value)
    return renamed


def _own_names(fields: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a node that name the database or a schema, with the run's names."""
    own = {field: names.get(fields[field], fields[field]) for field in ("database", "schema") if field in fields}
    if relation := fields.get("relation_name"):
        for stand_in, name in names.items():
            relation = relation.replace(f'"{stand_in}"', f'"{name}"')
        own["relation_name"] = relation
    return own
