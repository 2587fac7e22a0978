"""Registers the pipelines' timetable: Airflow takes one that is not its own from a plugin alone."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from include.runs import timetable


class MonthlyOncePublished(timetable.MonthlyOncePublished):
    """The timetable under the path that it had until 2026-11.

    Airflow keeps each version of a DAG that a run began with, and reads it for the grid and the tasks of that run. The
    path of the timetable stands in it. This class can go when Airflow's database holds no run of that time.
    """

    __module__ = "include.timetable"


class Timetables(AirflowPlugin):
    """When the run of a month begins."""

    name = "timetables"
    timetables = [timetable.MonthlyOncePublished, MonthlyOncePublished]  # noqa: RUF012
