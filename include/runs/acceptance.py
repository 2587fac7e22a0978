"""Says what a run is to accept: audits of its month that are known to fail, and why that is right."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from include.month import MonthError
from include.runs.month_of_run import HOW_TO_TRIGGER

WITH_A_REASON = (
    'Nothing was changed. Delete this run, and trigger the DAG with month, accept and reason, such as {"month": '
    '"2024-01", "accept": "reject_share_is_plausible", "reason": "TLC has confirmed the file"}.'
)


@dataclass(frozen=True)
class Acceptance:
    """Audits, by name, that somebody has looked at, by a run. `asked_at`: an aware time.

    `asked_by`: the user's name in Airflow; None: not known.
    """

    audits: tuple[str, ...]
    reason: str
    asked_at: datetime
    asked_by: str | None


def acceptance_of(dag_run: Any, params: Mapping[str, Any]) -> Acceptance | None:
    """What the run accepts, by the params `accept` and `reason`; None in an ordinary run.

    A run that is cleared or tried again has asked when it was made. Raises MonthError where one of both is missing, and
    in a backfill, which would accept the audit for months that nobody has looked at.
    """
    audits = tuple(dict.fromkeys(re.findall(r"[^\s,]+", params.get("accept") or "")))
    reason = in_one_line(params.get("reason") or "")
    if not audits and not reason:
        return None
    if dag_run.run_type in ("scheduled", "backfill"):
        raise MonthError(
            f"A backfill's configuration says accept {', '.join(audits)}. Leave accept and reason empty. "
            f"{HOW_TO_TRIGGER}"
        )
    if not reason:
        raise MonthError(f"This run is to accept {', '.join(audits)}, and gives no reason. {WITH_A_REASON}")
    if not audits:
        raise MonthError(f"This run gives the reason “{reason}”, and names no audit to accept. {WITH_A_REASON}")
    return Acceptance(audits, reason, dag_run.run_after, dag_run.triggering_user_name)


def in_one_line(text: str) -> str:
    """The text for a line of a log: what cannot be printed is a blank, and never two together."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())
