"""Says what a DAG run is for: its month, the version of it that was asked for, and the run's own schema."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from include.month import Month, MonthError
from include.settings import SettingError

# Rendered when a task runs, by the macros below.
DS = "{{ month_of(dag_run, params).ds }}"
RUN_SCHEMA = "{{ run_schema_of(dag_run, params) }}"

# A `version` that is no SHA-256: what the source has.
SOURCE = "source"
KEYS = ("month", "version", "rebuild", "accept", "reason")  # of a run's configuration
HOW_TO_TRIGGER = 'Nothing was changed. Delete this run; to load one month, trigger the DAG with {"month": "2024-01"}.'


@dataclass(frozen=True)
class Choice:
    """A version of a month that somebody asked for, by a run: the first digits of its SHA-256, or SOURCE.

    `asked_at`: an aware time. `asked_by`: the user's name in Airflow; None: not known.
    """

    version: str
    asked_at: datetime
    asked_by: str | None
    dag_run: str

    @property
    def pins(self) -> bool:
        """Whether the month stays at this version, whatever the source has."""
        return self.version != SOURCE


def month_of(dag_run: Any, params: Mapping[str, Any], timezone: tzinfo = UTC) -> Month:
    """The month a DAG run is for: the `month` param, else the logical date, in the time zone.

    `{{ ds }}` is not enough: it is undefined in a manual run without a logical date. Raises MonthError where the run
    does not say its month, or says two, and SettingError where Airflow made it in another time zone.
    """
    refuse_unknown_keys(dag_run)
    dated = Month.containing(dag_run.logical_date, timezone) if dag_run.logical_date else None
    if params.get("month"):
        month = Month.parse(params["month"])
        refuse_second_month(dag_run, month, dated)
        return month
    if dated is None:
        raise MonthError(f"This run has neither month nor a logical date. {HOW_TO_TRIGGER}")
    refuse_another_timezone(dag_run, timezone)
    return dated


def choice_of(dag_run: Any, params: Mapping[str, Any]) -> Choice | None:
    """The version that the run asks for, by the param `version`; None in an ordinary run.

    A run that is cleared or tried again has asked when it was made. Raises MonthError in a backfill, whose runs are
    dated at their months.
    """
    if not (version := params.get("version")):
        return None
    if dag_run.run_type in ("scheduled", "backfill"):
        raise MonthError(f"A backfill's configuration says version {version}. Leave version empty. {HOW_TO_TRIGGER}")
    return Choice(version, dag_run.run_after, dag_run.triggering_user_name, dag_run.run_id)


def is_rebuild(params: Mapping[str, Any]) -> bool:
    """Whether the run is to make its month anew from the raw rows that are loaded, without asking the source.

    So does a run that accepts an audit: what somebody has looked at is what is loaded. Raises MonthError where it is to
    put a kept version back too.
    """
    key = next((key for key in ("rebuild", "accept") if params.get(key)), None)
    if key and params.get("version"):
        raise MonthError(
            f"This run has both {key}, which keeps the rows that are loaded, and version, which replaces them. "
            "Nothing was changed. Delete this run, and trigger the DAG with one of them."
        )
    return key is not None


def month_of_partition(dag_run: Any, params: Mapping[str, Any]) -> Month:
    """The month of a run that a partition of an asset has triggered: the `month` param, else the partition's key.

    Raises MonthError where the run has neither.
    """
    if not (month := params.get("month") or dag_run.partition_key):
        raise MonthError(f"This run has neither month nor a partition. {HOW_TO_TRIGGER}")
    return Month.parse(month)


def macros(published_schema: str, timezone: tzinfo) -> dict[str, Callable[[Any, Mapping[str, Any]], Any]]:
    """The macros of a DAG's templates: `month_of` and `run_schema_of`, of the run and its params."""
    return {
        "month_of": lambda dag_run, params: month_of(dag_run, params, timezone),
        "run_schema_of": lambda dag_run, params: run_schema_of(dag_run, params, published_schema, timezone),
    }


def refuse_unknown_keys(dag_run: Any) -> None:
    """Raises MonthError where the run's configuration has a key that nothing reads, such as a mistyped one.

    Airflow accepts every key. Its own have a slash in them.
    """
    if unknown := [key for key in dag_run.conf or {} if key not in KEYS and "/" not in key]:
        raise MonthError(f"The run's configuration has {unknown}, and may have {', '.join(KEYS)}. {HOW_TO_TRIGGER}")


def refuse_second_month(dag_run: Any, month: Month, dated: Month | None) -> None:
    """Raises MonthError where Airflow made the run for the month of its logical date, `dated`, and `month` is another.

    A backfill hands its configuration to the run of every month in its range.
    """
    if dag_run.run_type in ("scheduled", "backfill") and month != dated:
        raise MonthError(
            f"This run is for {dated}, by its logical date, and its configuration says {month}. Leave month empty in a "
            f"backfill. {HOW_TO_TRIGGER}"
        )


def refuse_unended_month(dag_run: Any, params: Mapping[str, Any], now: datetime) -> None:
    """Raises MonthError where a run without the `month` param is for a month that has not ended.

    Airflow's own runs begin after their month. But its trigger form sets the logical date to the time it was opened.
    `now` is in the time zone of months.
    """
    month = month_of(dag_run, params, now.tzinfo or UTC)
    if not params.get("month") and now.date() < month.plus(1).first_day:
        raise MonthError(
            f"This run has no month, and {month}, which its logical date lies in, has not ended. The trigger form sets "
            f"the logical date to the present time. {HOW_TO_TRIGGER}"
        )


def refuse_another_timezone(dag_run: Any, timezone: tzinfo) -> None:
    """Raises SettingError where Airflow made the run, and its logical date is no month's start in the time zone.

    Its month would be wrong: a process with another default time zone made it, or the time zone was changed since.
    """
    if dag_run.run_type not in ("scheduled", "backfill"):
        return
    month = Month.containing(dag_run.logical_date, timezone)
    if dag_run.logical_date != month.start_in(timezone).astimezone(UTC):
        raise SettingError(
            f"This run is dated {dag_run.logical_date.isoformat()}, at which no month begins in {timezone}, the [core] "
            "default_timezone of this process. Give every Airflow process the same one, then clear this task. If the "
            "run was made before the time zone was changed, trigger its month anew, by the param month."
        )


def run_schema_of(dag_run: Any, params: Mapping[str, Any], published_schema: str, timezone: tzinfo = UTC) -> str:
    """The run's own schema, e.g. `airflow_default_20240101`; two runs of one month never share one.

    Airflow allows one run per logical date, so the run dated at the month's first instant, in the time zone, has the
    plain name. Any other run of the month may overlap it, and its schema's name ends in a hash of its run id.
    """
    month = month_of(dag_run, params, timezone)
    plain = f"{published_schema}_{month.ds_nodash}"
    if dag_run.logical_date == month.start_in(timezone).astimezone(UTC):
        return plain
    return f"{plain}_{hashlib.sha256(dag_run.run_id.encode()).hexdigest()[:8]}"
