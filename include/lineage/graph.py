"""The lineage of all tables of each dataset, from the file to the published tables: what it holds, and how to walk it.

`python -m include docs` writes it as JSON (DBT_LINEAGE), from dbt's manifest and compiled SQL. In it, by dataset:

- `tables`, by name, in the order of the flow: `layer` (file, raw, staging, intermediate, marts, and readers: the views
  of all datasets and the queries of the report, which read marts), `id` (dbt's unique_id, or none), `description`,
  `tests` (name, description, columns), `rows` (what decides about rows: `subtype`, `sql`, `inputs`), `unread` (why
  sqlglot could not read its SQL; else empty), and `columns`.
- A column has `type`, `description`, `tests` (names), `inputs` (`table`, `column`, `type`, `subtype`, in OpenLineage's
  words; an empty `column` stands for the table's rows), `steps` (the expressions on the way, from the last to the
  first: `of`, `name`, `how`, `sql`) and `origins`: `file`, `constant` or `run` where it begins, else none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from include.datasets import Dataset
from include.lineage.columns import Column, Input, Model, lineage_of
from include.settings import DBT_LINEAGE
from include.support.fingerprint import State, state_of

LAYERS = ("file", "raw", "staging", "intermediate", "marts", "readers")
MARTS, READERS = LAYERS[-2:]
# What models are compiled for in the place of a run's values: its month, and dbt's environment.
MONTH, RUN = "1901-01-01", {"CODE_VERSION": "c0de00000000", "GIT_REVISION": "git-revision"}
STAND_INS = {MONTH: "{{ ds }}"} | {value: f"{{{{ env_var('{name}') }}}}" for name, value in RUN.items()}
OF_RUN = (*STAND_INS, "CURRENT_TIMESTAMP", "CURRENT_DATE")

Tables = dict[str, dict[str, Any]]
At = tuple[str, str]  # a table, and a column of it


@dataclass(frozen=True)
class Place:
    """A column, and the nearer one by which a walk came to it. An empty column: the table's rows."""

    table: str
    column: str
    by: Place | None = None

    @property
    def way(self) -> list[Place]:
        """From where the walk began to here."""
        return [*(self.by.way if self.by else []), self]


def tables_of(
    dataset: Dataset,
    manifest: Mapping[str, Any],
    compiled: Mapping[str, str],
    report: Mapping[str, str] = MappingProxyType({}),
) -> Tables:
    """The dataset's tables. `manifest`: dbt's, as JSON. `compiled`: the SQL of each model, by unique_id. `report`: the
    queries of a month's report, by name, which count where the dataset has reports."""
    tables = dict(_sources(dataset, manifest))
    known = {name: _types(table) for name, table in tables.items()}
    for id in _in_order(manifest, compiled):
        node = manifest["nodes"][id]
        name = node["name"]
        declared = {each: column["data_type"] or "" for each, column in node["columns"].items()}
        tables[name] = _table(node, lineage_of(compiled[id], known | {name: declared}), manifest)
        known[name] = _types(tables[name])
    for name, description, sql in _queries(dataset, manifest, compiled, report):
        tables[name] = _reader(description, lineage_of(sql, known), tables)
    return tables


def _types(table: Mapping[str, Any]) -> dict[str, str]:
    return {name: column["type"] for name, column in table["columns"].items()}


def read(file: Path = DBT_LINEAGE) -> dict[str, Tables]:
    """By dataset, its tables. Raises OSError where the file is missing, ValueError where it is damaged."""
    return _read(file, state_of(file))


@lru_cache(maxsize=1)
def _read(file: Path, state: State | None) -> dict[str, Tables]:
    try:
        return {name: found["tables"] for name, found in json.loads(file.read_bytes())["datasets"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file} is not what `python -m include docs` writes: {type(error).__name__}") from None


def upstream(tables: Tables, table: str, column: str) -> Iterator[Place]:
    """The column, and each that it comes from, nearest first, with the way to it."""
    return _walk([(table, column)], lambda at: _inputs(tables, *at))


def downstream(tables: Tables, start: Iterable[At], *, by_rows: bool = False) -> Iterator[Place]:
    """The columns, and each that is made of them, nearest first, with the way to it.

    `by_rows`: see readers_of.
    """
    readers = readers_of(tables, by_rows=by_rows)
    return _walk(start, lambda at: readers.get(at, ()))


def readers_of(tables: Tables, *, by_rows: bool = False) -> dict[At, list[At]]:
    """By column, the columns that are made of it.

    A table's rows stand as a column without a name. What decides about them reaches the rows of each table that reads
    this one. `by_rows`: it reaches each column of the table instead, and all that is made of one.
    """
    readers: dict[At, dict[At, None]] = {}
    for name, found in tables.items():
        for each in found["columns"]:
            for source in [*_inputs(tables, name, each), *([(name, "")] if by_rows else [])]:
                readers.setdefault(source, {})[name, each] = None
        ruled = {(each["table"], each["column"]) for rule in found["rows"] for each in rule["inputs"]}
        read = {source for each in found["columns"] for source in _inputs(tables, name, each)} | ruled
        for source in sorted(ruled | ({(table, "") for table, _ in read if table != name} if not by_rows else set())):
            readers.setdefault(source, {})[name, ""] = None
    return {at: list(found) for at, found in readers.items()}


def unresolved(tables: Tables) -> Iterator[str]:
    """The published columns whose way to a file, a constant or the run is not known, each with where it is lost; and
    the views and queries of published tables that sqlglot cannot read."""
    for name, table in tables.items():
        if table["layer"] == READERS and table["unread"]:
            yield f"{name}: {table['unread']}"
        for column in table["columns"] if table["layer"] == MARTS else ():
            for place in upstream(tables, name, column):
                found = tables.get(place.table, {"columns": {}, "unread": "it is no table of the dataset"})
                made = found["columns"].get(place.column, {"inputs": [], "origins": []})
                is_row = not place.column and place.table in tables
                if not (is_row or made["inputs"] or made["origins"]):
                    why = found["unread"] or "no input of it is known"
                    yield f"{name}.{column}: lost at {place.table}.{place.column}, {why}"


def _walk(start: Iterable[At], next: Callable[[At], Iterable[At]]) -> Iterator[Place]:
    seen = set(start)
    level = [Place(*each) for each in sorted(seen)]
    while level:
        yield from level
        level, found = [], level
        for place in found:
            for at in next((place.table, place.column)):
                if at not in seen:
                    seen.add(at)
                    level.append(Place(*at, place))


def _inputs(tables: Tables, table: str, column: str) -> list[At]:
    found = tables.get(table, {}).get("columns", {}).get(column, {})
    return list(dict.fromkeys((each["table"], each["column"]) for each in found.get("inputs", ())))


def _sources(dataset: Dataset, manifest: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The files, the raw tables that they are loaded into, and the other tables that the loader writes."""
    nodes = {node["identifier"]: node for node in manifest["sources"].values()}
    for file in dataset.files:
        about = {"layer": "file", "id": None, "description": f"{dataset.title}: {file.path}"}
        columns = {each.name: _column(str(each.type), origins=["file"]) for each in file.columns}
        yield file.name, about | {"tests": [], "rows": [], "unread": "", "columns": columns}
    for file in dataset.files:
        columns = {}
        for each in file.raw_columns:
            if each.name == "source_month":
                columns[each.name] = _column(str(each.type), origins=["run"])
            else:  # a row's place in the file, and the values of columns that nobody has declared, come from its rows
                source = Input(file.name, each.name if each in file.columns else "")
                columns[each.name] = _column(str(each.type), Column({source}))
        yield file.table, _about(nodes.pop(file.table), manifest) | {"rows": [], "unread": "", "columns": columns}
    for name, node in nodes.items():
        if node["columns"]:
            columns = {
                each: _column(column["data_type"] or "", origins=["run"]) for each, column in node["columns"].items()
            }
            yield name, _about(node, manifest) | {"rows": [], "unread": "", "columns": columns}


def _table(node: Mapping[str, Any], model: Model, manifest: Mapping[str, Any]) -> dict[str, Any]:
    columns = {name: _column("", column) for name, column in model.columns.items()}
    if model.unread:
        columns = {name: _column("", origins=[]) for name in node["columns"]}
    for name, column in columns.items():
        declared = node["columns"].get(name, {})
        column |= {"type": declared.get("data_type") or "", "description": declared.get("description", "")}
    about = _about(node, manifest) | {"unread": model.unread, "columns": columns}
    for test in about["tests"]:
        for name in test["columns"]:
            if name in columns:
                columns[name]["tests"].append(test["name"])
    return about | {"rows": _rows(model)}


def _rows(model: Model) -> list[dict[str, Any]]:
    return [
        {"subtype": each.subtype, "sql": _shown(each.sql), "inputs": _shown_inputs(each.inputs)} for each in model.rows
    ]


def _queries(
    dataset: Dataset, manifest: Mapping[str, Any], compiled: Mapping[str, str], report: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    """What reads the published tables: name, description, SQL. A view has the part that this dataset has in it, as
    dbt's macro view_of_all_datasets makes it."""
    for id in sorted(compiled):
        node = manifest["nodes"][id]
        if view := node["config"]["meta"].get("view_of_all_datasets"):
            columns = ", ".join(node["columns"])
            description = f"A view: the rows of `{node['name']}` of every dataset. This is the part of {dataset.name}."
            yield view, description, f"select '{dataset.name}' as dataset, {columns} from {node['name']}"
    for name, sql in report.items() if dataset.report_dag_id else ():
        yield f"report_{name}", "A query of the month's report, and no table: the report shows what it finds.", sql


def _reader(description: str, model: Model, tables: Tables) -> dict[str, Any]:
    columns = {}
    for name, made in model.columns.items():
        columns[name] = _column("", made)
        if len(made.inputs) == 1 and (source := next(iter(made.inputs))).subtype == "IDENTITY":
            of_source = tables[source.table]["columns"][source.column]
            columns[name] |= {each: of_source[each] for each in ("type", "description")}
    about: dict[str, Any] = {"layer": READERS, "id": None, "description": description, "tests": []}
    return about | {"rows": _rows(model), "unread": model.unread, "columns": columns}


def _about(node: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    id = node["unique_id"]
    tests = [
        {
            "name": test["name"],
            "description": test["description"],
            "columns": [test["column_name"]] if test.get("column_name") else [],
        }
        for test in manifest["nodes"].values()
        if test["resource_type"] == "test" and id in (test.get("attached_node"), *test["depends_on"]["nodes"][:1])
    ]
    return {"layer": _layer(node), "id": id, "description": node["description"], "tests": tests}


def _layer(node: Mapping[str, Any]) -> str:
    """The folder below `models` that the model stands in."""
    return "raw" if node["resource_type"] == "source" else str(node["fqn"][1])


def _column(type: str, column: Column | None = None, origins: list[str] | None = None) -> dict[str, Any]:
    column = column or Column()
    if origins is None:
        is_of_run = any(text in step.sql for step in column.steps for text in OF_RUN)
        origins = ["run"] if is_of_run else [] if column.inputs else ["constant"]
    steps = [asdict(step) | {"sql": _shown(step.sql)} for step in column.steps]
    return {
        "type": type,
        "description": "",
        "tests": [],
        "origins": origins,
        "steps": steps,
        "inputs": _shown_inputs(column.inputs),
    }


def _shown(sql: str) -> str:
    for stand_in, shown in STAND_INS.items():
        sql = sql.replace(stand_in, shown)
    return sql


def _shown_inputs(inputs: set[Input]) -> list[dict[str, str]]:
    return [asdict(each) for each in sorted(inputs)]


def _in_order(manifest: Mapping[str, Any], compiled: Mapping[str, str]) -> list[str]:
    """The models' ids, each after those that it reads."""
    order: dict[str, None] = {}

    def visit(id: str) -> None:
        if id in compiled and id not in order:
            for parent in manifest["nodes"][id]["depends_on"]["nodes"]:
                visit(parent)
            order[id] = None

    for id in sorted(compiled, key=lambda id: (LAYERS.index(_layer(manifest["nodes"][id])), id)):
        visit(id)
    return list(order)
