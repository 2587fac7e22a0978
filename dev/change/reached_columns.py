"""Which published columns a change of the dbt project reaches, and which way."""

from collections.abc import Iterator
from typing import Any

from include.lineage.graph import At, Place, Tables, downstream


def reached(before: Tables, after: Tables) -> str:
    """A list of the published columns that the change reaches, as Markdown. Those with the same way share a line."""
    lines: dict[tuple[str, str], list[str]] = {}
    for place in downstream(after, _changed(before, after), by_rows=True):
        if after[place.table]["layer"] == "marts" and not _by_own_rows(place):
            column = f"`{place.column}`" if place.column else "which rows it has"
            lines.setdefault((place.table, _way(place)), []).append(column)
    found = [
        f"- `{table}`: {'every column' if len(columns) == len(after[table]['columns']) else ', '.join(columns)}{way}"
        for (table, way), columns in sorted(lines.items())
    ]
    gone = [
        f"- `{name}.{column}` is gone"
        for name, table in before.items()
        for column in table["columns"]
        if table["layer"] == "marts" and column not in after.get(name, {}).get("columns", {})
    ]
    return "\n".join([*found, *gone]) or "None."


def _by_own_rows(place: Place) -> bool:
    """Whether only the table's rows are others. That is said once, and not of each column."""
    return place.by is not None and (place.by.table, place.by.column) == (place.table, "")


def _way(place: Place) -> str:
    """The tables from the first that the change makes otherwise."""
    tables = dict.fromkeys(f"`{each.table}`" for each in place.way if each.table != place.table)
    rows = "the rows of " if tables and not place.way[0].column else ""
    return f", by {rows}{' → '.join(tables)}" if tables else ""


def _changed(before: Tables, after: Tables) -> Iterator[At]:
    """The columns that are made in another way than before, and the rows, as a column without a name."""
    for name, table in after.items():
        earlier = before.get(name, {"columns": {}, "rows": None})
        if table["rows"] != earlier["rows"]:
            yield name, ""
        for column, made in table["columns"].items():
            if _making(made) != _making(earlier["columns"].get(column)):
                yield name, column


def _making(column: dict[str, Any] | None) -> Any:
    return column and [column[part] for part in ("type", "steps", "inputs")]
