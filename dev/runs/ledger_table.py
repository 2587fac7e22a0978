"""The ledger of months in a terminal: a calendar for each dataset, or JSON."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from dev.services.airflow_api import AirflowApi
from include.datasets import Dataset
from include.month import Month
from include.support.counted import counted

Line = dict[str, Any]  # a month, as the ledger's page gets it

ROWS = ("rows_in_file", "rows_accepted", "rows_rejected")
MADE_BY = ("code_version", "git_revision", "is_outdated", "changed_models")
IN_JSON = (
    *("dataset", "month", "state", *ROWS, "failed_task", "restated", "kept"),
    *("is_published", "readers_see", "pinned", "accepted", "may_accept", "departures", *MADE_BY),
)
SIGNS = {
    "published": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "queued": ("○", "blue"),
    "running": ("▶", "blue"),
    "waiting": ("…", "yellow"),
    "restated": ("≠", "magenta"),
    "never": ("·", "dim"),
}
PINNED = "•"
ACCEPTED = "~"  # beside the sign of a published month, of whose file somebody has accepted that an audit fails
DEPARTS = "!"  # beside the sign of a published month that departs from the months around it
OUTDATED = "*"  # beside the sign of a month that another version of the SQL made


def lines_of(api: AirflowApi, dataset: Dataset | None = None) -> list[Line]:
    """A line for each month of the dataset, or of all. Raises requests.RequestException."""
    asked = {"dag_id": dataset.dag_id} if dataset else None
    found: list[Line] = api.call("GET", "/months", params=asked, below="/ledger")
    return found


def as_json(lines: Iterable[Line]) -> str:
    """A JSON list with an object for each month, whose keys are IN_JSON.

    `restated`: ETag and bytes of the source's new file and of the loaded one; null where the source has no new file.
    `kept`: the versions that can be put back, the one replaced last first. `readers_see`: what is published of a month
    whose latest run has not published it; else null. `pinned`: the version at which the month stays, since when, by
    whom and by which run; null where the source counts. `is_outdated`: whether another version of the SQL than the
    present one made the month; `changed_models`: those that are others since, null if not known. `accepted`: the audits
    that the published file may fail, with reason, who and when; `may_accept`: those that failed and may be accepted.
    `departures`: the figures in which a published month departs from the months around it, in words.
    """
    return json.dumps([{name: line[name] for name in IN_JSON} for line in lines], indent=1)


def as_calendars(lines: list[Line]) -> Group:
    """A table of years and months for each dataset; below them what failed, and why."""
    signs = [f"{sign} {state}" for state, (sign, _) in SIGNS.items()]
    marks = [
        f"{PINNED} stays at the version that was put back",
        f"{ACCEPTED} odd, and accepted",
        f"{OUTDATED} made by another version of the SQL",
        f"{DEPARTS} departs from the months around it",
    ]
    parts: list[Any] = [Text("  ".join([*signs, *marks]))]
    for title, found in groupby(lines, key=lambda line: str(line["title"])):
        parts.append(_calendar(title, list(found)))
    for line in lines:
        if line["state"] == "failed":
            parts.append(Text(failure(line), style="red"))
        if line["pinned"]:
            parts.append(Text(pin(line)))
        parts += [Text(told, style="yellow") for told in told_of_accepted(line)]
        if restated := line["restated"]:
            since = restated["since"][:10]
            now = f"{counted(restated['bytes'], 'byte')}, ETag {restated['etag'] or 'none'}"
            loaded = f"{counted(restated['bytes_loaded'], 'byte')}, ETag {restated['etag_loaded'] or 'none'}"
            what = (
                f"{line['dataset']} {line['month']}: the source has another file since {since}: {now}; loaded: {loaded}"
            )
            parts.append(Text(what, style="magenta"))
    parts += [Text(told, style="yellow") for told in [*told_of_departures(lines), *told_of_outdated(lines)]]
    return Group(*parts)


def failure(line: Line) -> str:
    """What failed in the month, why, and what readers see of it meanwhile."""
    dataset, month, task = line["dataset"], line["month"], line["failed_task"]
    said = f"{dataset} {month} failed: {task or 'its run'}. {line['reason'] or ''}"
    its_log = f" Its log: make log DATASET={dataset} MONTH={month}" if task else ""
    if_right = " If the month is right all the same: docs/how-to/accept-a-month.md" if line["may_accept"] else ""
    return f"{said} {line['readers_see'] or 'Nothing of it is published.'}{its_log}{if_right}"


def pin(line: Line) -> str:
    """At which version the month stays, since when, by whom, and how to end it."""
    month, pinned = line["month"], line["pinned"]
    since = instant(pinned["since"])
    return (
        f"{line['dataset']} {month}: stays at the version {pinned['version'][:12]}, which {pinned['by'] or 'somebody'} "
        f"put back {since}. The source counts again after: make release DATASET={line['dataset']} MONTH={month}"
    )


def told_of_departures(lines: Iterable[Line]) -> list[str]:
    """For each month that departs from the months around it: which figures, and by how much."""
    departing = [line for line in lines if line["departures"]]
    return [f"{line['dataset']} {line['month']}: {'; '.join(line['departures'])}" for line in departing]


def told_of_accepted(line: Line) -> list[str]:
    """For each audit that the published file may fail: who has accepted it, when and why."""
    return [
        f"{line['dataset']} {line['month']}: {each['audit']} failed, which {each['by'] or 'somebody'} accepted "
        f"{instant(each['at'])}: “{each['reason']}”"
        for each in line["accepted"]
    ]


def instant(text: str) -> str:
    """The time, to the minute."""
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def told_of_outdated(lines: Iterable[Line]) -> list[str]:
    """For each dataset and version of the SQL that is not the present one: how many months it made, and which."""
    told = []
    outdated = sorted(
        (line for line in lines if line["is_outdated"]), key=lambda line: (line["dataset"], _version(line))
    )
    for (dataset, version), found in groupby(outdated, key=lambda line: (str(line["dataset"]), _version(line))):
        of_version = list(found)
        models, months = of_version[0]["changed_models"], ranges([line["month"] for line in of_version])
        since = f"; since then changed: {', '.join(models)}" if models else ""
        count = counted(len(of_version), "month")
        told.append(
            f"{dataset}: {count} made by {version} of the SQL: {months}{since}. Rebuild without asking the source: "
            f"make rebuild DATASET={dataset}"
        )
    return told


def ranges(months: Iterable[str]) -> str:
    """Months, written YYYY-MM, as ranges: `2024-01 to 2024-03, 2024-07`."""
    runs: list[list[Month]] = []
    for month in sorted(map(Month.parse, months)):
        if runs and runs[-1][-1].plus(1) == month:
            runs[-1].append(month)
        else:
            runs.append([month])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)


def _version(line: Line) -> str:
    if (version := line["code_version"]) is None:
        return "an unknown version"
    return f"version {version}" + (f" (git {line['git_revision']})" if line["git_revision"] else "")


def _calendar(title: str, lines: list[Line]) -> Table:
    published = sum(line["is_published"] for line in lines)
    table = Table(
        "",
        *(f"{month:02}" for month in range(1, 13)),
        title=f"{title}: {published} of {len(lines)} published",
        box=None,
    )
    by_month = {line["month"]: line for line in lines}
    for year in sorted({month[:4] for month in by_month}, reverse=True):
        table.add_row(year, *(_cell(by_month.get(f"{year}-{month:02}")) for month in range(1, 13)))
    return table


def _cell(line: Line | None) -> Text:
    if not line:
        return Text("")
    sign, style = SIGNS[line["state"]]
    marks = {PINNED: "pinned", ACCEPTED: "accepted", OUTDATED: "is_outdated", DEPARTS: "departures"}
    return Text(sign + "".join(mark for mark, of in marks.items() if line[of]), style)
