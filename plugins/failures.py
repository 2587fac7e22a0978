"""What happens when a task fails: its reason is kept, its log explains the failure, and somebody is told."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from include.failures import listener, reason


class Failures(AirflowPlugin):
    """Calls these modules when a task fails. `listener` asks to be the last."""

    name = "failures"
    listeners = [reason, listener]  # noqa: RUF012
