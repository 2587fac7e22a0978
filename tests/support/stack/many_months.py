"""The ledger's answer with more months in it than a test can load: copies of a published month, with other figures."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Route

Line = dict[str, Any]

# what a copy does not have from the month that it is a copy of
OWN = ("dataset", "title", "dag_id", "month", "starts_at", "expected_at")
EMPTY = {"state": "never", "is_published": False, "figures": {}, "profile": {}, "run_id": None, "run_began": None}
SINCE = "2026-11-02T06:30:00+00:00"


def answer_with(
    loaded: Callable[[list[str]], list[str]], datasets: int = 2, needs_a_hand: bool = False
) -> Callable[[Route], None]:
    """Answers the page with what the server answers, and with these months of each dataset published.

    The server must have a published month of green taxis. `loaded`: the months to publish, of all months in order.
    `needs_a_hand`: some of them failed, were restated, depart or were accepted, and one later month is late.
    """

    def answer(route: Route) -> None:
        lines = json.loads(route.fetch().text())
        like = next(line for line in lines if line["state"] == "published" and line["profile"])
        found = []
        for place, name in enumerate(["green", "yellow", "third", "fourth", "fifth"][:datasets]):
            own = [line for line in lines if line["dataset"] == ("green", "yellow")[place % 2]]
            published = loaded([line["month"] for line in own])
            made = [_line(line, like, line["month"] in published) | {"dataset": name} for line in own]
            found += _in_need(made) if needs_a_hand else made
        route.fulfill(json=found)

    return answer


def _line(own: Line, like: Line, is_published: bool) -> Line:
    """The month as the server has it, empty; or as the published one, with figures that differ by some percent."""
    line = like | {name: own[name] for name in OWN}
    if not is_published:
        return line | EMPTY
    chance = random.Random(own["dataset"] + own["month"])  # noqa: S311 - no secret, and the same each time
    rows = round(60_000 * chance.gauss(1, 0.05))
    figures = {"rows_in_file": rows, "rows_rejected": round(rows * abs(chance.gauss(0.004, 0.001)))}
    figures["total_amount_accepted"] = f"{16.1 * rows:.2f}"
    profile = {name: value * chance.gauss(1, 0.03) for name, value in like["profile"].items()}
    return line | {"figures": like["figures"] | figures, "profile": profile}


def _in_need(lines: list[Line]) -> list[Line]:
    published = [line for line in lines if line["is_published"]]
    dataset, newest = published[0]["dataset"], lines.index(published[-1])
    if dataset == "green":
        published[-1] |= {
            "state": "failed",
            "failed_task": "build.int_trips_judged.test",
            "reason": "reject_share_is_plausible: 4.2 % of the rows are rejected, and at most 2 % are plausible",
            "may_accept": ["reject_share_is_plausible"],
        }
        files = {"etag": '"b"', "bytes": 2_000_000, "etag_loaded": '"a"', "bytes_loaded": 1_900_000, "since": SINCE}
        published[-4] |= {"state": "restated", "restated": files}
        figure = "median fare a mile 8.79 is 33 % above the median of the 6 months nearest to it, 6.61"
        published[6] |= {"departures": [figure], "profile": published[6]["profile"] | {"median_fare_a_mile": 8.79}}
    else:
        lines[newest + 1] |= {"state": "waiting", "is_late": True, "run_id": "scheduled__1"}
        why = {"audit": "reject_share_is_plausible", "reason": "a flood in the Bronx", "by": "ana", "at": SINCE}
        published[3] |= {"accepted": [why]}
    return lines
