"""The pipelines' timetable: a DAG may only have one that a plugin makes known."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from include.runs.timetable import MonthlyOncePublished


class Timetables(AirflowPlugin):
    """When the run of a month begins."""

    name = "timetables"
    timetables = [MonthlyOncePublished]  # noqa: RUF012
