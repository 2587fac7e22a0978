"""The differences between two versions of a month's tables in Markdown, for a terminal and for a pull request."""

from collections.abc import Iterable, Sequence
from typing import Any

from dev.change.table_diff import TableDiff
from include.support.counted import counted

WIDTH = 60  # characters of a value that are shown
MOST_COLUMNS = 6  # that a terminal of 80 columns shows side by side


def as_markdown(diffs: Iterable[TableDiff], here: str, there: str) -> str:
    """`here` and `there`: the schemas."""
    return "\n\n".join([f"`{here}` (yours) beside `{there}` (published)", *(_of_table(diff) for diff in diffs)]) + "\n"


def _of_table(diff: TableDiff) -> str:
    same = f"the same {counted(diff.rows_here, 'row')}"
    title = f"### {diff.table}: {'differs' if diff.differs else same}"
    if not diff.differs:
        return title
    parts = [
        title,
        _table(
            ["", "rows"],
            [
                ["yours", f"{diff.rows_here:,}"],
                ["published", f"{diff.rows_there:,}"],
                ["only yours", f"{diff.only_here:,}"],
                ["only published", f"{diff.only_there:,}"],
                ["changed", f"{diff.rows_changed:,}"],
            ],
        ),
    ]
    if diff.only_columns:
        parts.append(f"Columns of one side alone: {', '.join(diff.only_columns)}")
    if diff.types:
        parts.append(f"Other types: {', '.join(diff.types)}")
    for side, name in (("here", "yours"), ("there", "published")):
        if rows := diff.examples.get(side):
            parts += [f"Only {name}, the first {len(rows)}:", _whole_rows(rows)]
    if diff.changed:
        most = sorted(diff.changed.items(), key=lambda each: -each[1])
        parts.append(_table(["changed column", "rows"], [[name, f"{count:,}"] for name, count in most]))
        for name, _ in most:
            rows = diff.examples[name]
            headings = [*diff.key, f"{name}, yours", f"{name}, published"]
            parts.append(_table(headings, [list(row.values()) for row in rows]))
    sums = [
        [name, f"{here or 0:,}", f"{there or 0:,}", f"{(here or 0) - (there or 0):+,}"]
        for name, (here, there) in diff.sums.items()
        if here != there
    ]
    if sums:
        parts.append(_table(["sum of", "yours", "published", "difference"], sums))
    elif diff.sums:
        parts.append(f"Equal sums: {', '.join(diff.sums)}")
    return "\n\n".join(parts)


def _whole_rows(rows: list[dict[str, Any]]) -> str:
    """As a table; as a list where the rows are too wide for one, so that they fold."""
    if len(rows[0]) <= MOST_COLUMNS:
        return _table(list(rows[0]), [list(row.values()) for row in rows])
    return "\n".join("- " + ", ".join(f"{name} **{_cell(value)}**" for name, value in row.items()) for row in rows)


def _table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(_cell(value) for value in line)} |" for line in lines)


def _cell(value: Any) -> str:
    text = "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"
