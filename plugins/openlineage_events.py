"""Looks after what Airflow's OpenLineage provider sends, where it is installed and a transport is set.

The file is not called openlineage: the folder is on the path of Python, and would hide the package of that name.
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from include.openlineage.switch import sends_events


class OpenLineageEvents(AirflowPlugin):
    """Keeps values of rows out of the events."""

    name = "openlineage_events"

    @classmethod
    def on_load(cls, *args: Any, **kwargs: Any) -> None:
        """Airflow calls it when it has imported the plugin."""
        if sends_events():
            from include.openlineage.values import keep_values_in

            keep_values_in()
