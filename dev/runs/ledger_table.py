"""The ledger of months in a terminal: a calendar for each dataset, or JSON."""

import json
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

Line = dict[str, Any]  # a month, as the ledger's page gets it

ROWS = ("rows_in_file", "rows_accepted", "rows_rejected")
IN_JSON = ("dataset", "month", "state", *ROWS, "failed_task", "restated", "kept")
SIGNS = {
    "published": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "waiting": ("…", "yellow"),
    "running": ("▶", "blue"),
    "restated": ("≠", "magenta"),
    "never": ("·", "dim"),
}


def as_json(lines: Iterable[Line]) -> str:
    """A JSON list with an object for each month, whose keys are IN_JSON.

    `restated`: ETag and bytes of the source's new file and of the loaded one; null where the source has no new file.
    `kept`: the versions that can be put back, the one replaced last first.
    """
    return json.dumps([{name: line[name] for name in IN_JSON} for line in lines], indent=1)


def as_calendars(lines: list[Line]) -> Group:
    """A table of years and months for each dataset; below them what failed, and why."""
    parts: list[Any] = [Text("  ".join(f"{sign} {state}" for state, (sign, _) in SIGNS.items()))]
    for title, found in groupby(lines, key=lambda line: str(line["title"])):
        parts.append(_calendar(title, list(found)))
    for line in lines:
        if line["state"] == "failed":
            task = line["failed_task"] or "its run"
            log = f"; make log DATASET={line['dataset']} MONTH={line['month']}" if line["failed_task"] else ""
            what = f"{line['dataset']} {line['month']} failed: {task}. {line['reason'] or ''}{log}"
            parts.append(Text(what, style="red"))
        if restated := line["restated"]:
            since, now = restated["since"][:10], f"{restated['bytes']} bytes, ETag {restated['etag'] or 'none'}"
            loaded = f"{restated['bytes_loaded']} bytes, ETag {restated['etag_loaded'] or 'none'}"
            what = (
                f"{line['dataset']} {line['month']}: the source has another file since {since}: {now}; loaded: {loaded}"
            )
            parts.append(Text(what, style="magenta"))
    return Group(*parts)


def _calendar(title: str, lines: list[Line]) -> Table:
    published = sum(line["state"] in ("published", "restated") for line in lines)
    table = Table(
        "",
        *(f"{month:02}" for month in range(1, 13)),
        title=f"{title}: {published} of {len(lines)} published",
        box=None,
    )
    by_month = {line["month"]: line["state"] for line in lines}
    for year in sorted({month[:4] for month in by_month}, reverse=True):
        states = [by_month.get(f"{year}-{month:02}") for month in range(1, 13)]
        table.add_row(year, *(Text(*SIGNS[state]) if state else Text("") for state in states))
    return table
