"""The lineage of one column, for a terminal: what it comes from, and what stands on it."""

import difflib
from collections.abc import Iterator, Mapping

from rich.markup import escape
from rich.tree import Tree

from dev.errors import StackError
from include.lineage.graph import At, Tables, readers_of

ORIGINS = {"constant": "a constant", "run": "decided by the run"}
RULES = {"FILTER": "rows where", "JOIN": "rows joined on", "GROUP_BY": "a row for each"}


def lineage_text(dataset: str, tables: Tables, asked: str) -> Iterator[str | Tree]:
    """What to print for `<table>.<column>` of the dataset. Raises StackError where there is no such column."""
    table, column = at = _found(tables, asked)
    about = tables[table]["columns"][column]
    yield f"[bold]{table}.{column}[/bold]  {escape(about['type'])}  [dim]of {dataset}[/dim]"
    if about["description"]:
        yield escape(about["description"].strip())
    yield from (f"tested by {escape(test)}" for test in about["tests"])
    yield from ("", "[bold]comes from[/bold]")
    told: set[At | str] = set()
    tree = Tree(_label(tables, at, told))
    _grow(tree, tables, at, told)
    yield tree
    yield from ("", "[bold]on it stand[/bold]")
    readers = readers_of(tables)
    tree = Tree(f"{table}.{column}")
    _stand(tree, readers, at, {at})
    yield tree if at in readers else f"none of the tables, views and reports of {dataset}"


def _stand(tree: Tree, readers: Mapping[At, list[At]], at: At, told: set[At]) -> None:
    """Adds what is made of the column to its branch. What stands in the tree already is not followed again."""
    for each in readers.get(at, ()):
        label = escape(".".join(each)) if each[1] else f"[dim]the rows of[/dim] {escape(each[0])}"
        if each in told:
            tree.add(f"{label} [dim](see above)[/dim]" if each in readers else label)
        else:
            told.add(each)
            _stand(tree.add(label), readers, each, told)


def _grow(tree: Tree, tables: Tables, at: At, told: set[At | str]) -> None:
    """Adds what the column comes from to its branch; what stands elsewhere in the tree already, by its name alone."""
    inputs = tables[at[0]]["columns"][at[1]]["inputs"]
    direct = {(each["table"], each["column"]) for each in inputs if each["type"] == "DIRECT"}
    for each in inputs:
        source = each["table"], each["column"]
        if source == at or (each["type"] != "DIRECT" and source in direct):
            continue
        how = "" if each["type"] == "DIRECT" else f"[dim]{each['subtype'].lower()}: [/dim]"
        if not each["column"]:
            tree.add(f"{how}the rows of {escape(each['table'])}")
        elif source in told:
            tree.add(f"{how}{escape('.'.join(source))} [dim](see above)[/dim]")
        else:
            _grow(tree.add(how + _label(tables, source, told)), tables, source, told)


def _label(tables: Tables, at: At, told: set[At | str]) -> str:
    """The column, the expressions that make it, and, the first time, what decides about its table's rows."""
    table, made = tables[at[0]], tables[at[0]]["columns"][at[1]]
    lines = [escape(".".join(at))]
    if table["unread"]:
        lines.append(f"[red]sqlglot cannot read its SQL: {escape(table['unread'])}[/red]")
    lines += [f"[cyan]{escape(step['sql'])}[/cyan]" for step in made["steps"]]
    lines += [f"[dim]{text}[/dim]" for origin, text in ORIGINS.items() if origin in made["origins"]]
    if at[0] not in told:
        lines += [f"[dim]{RULES[rule['subtype']]} {escape(rule['sql'])}[/dim]" for rule in table["rows"]]
    told |= {at, at[0]}
    return "\n".join(lines)


def _found(tables: Tables, asked: str) -> At:
    table, _, column = asked.rpartition(".")
    if table in tables and column in tables[table]["columns"]:
        return table, column
    if asked in tables:
        columns = ", ".join(tables[asked]["columns"])
        raise StackError(f"COLUMN={asked} names a table: add one of its columns, {columns}.")
    known = [f"{name}.{each}" for name, found in tables.items() for each in found["columns"]]
    small = asked.lower()
    last_two = ".".join(small.split(".")[-2:])  # without a schema
    near = (
        [each for each in known if each in (small, last_two)]
        or [each for each in known if each.endswith(f".{small}")]
        or difflib.get_close_matches(last_two, known)
    )
    hint = f"Is it {' or '.join(near)}?" if near else "Give <table>.<column>, such as fct_zone_days.total_amount."
    raise StackError(f"COLUMN={asked}: there is no such column. {hint}")
