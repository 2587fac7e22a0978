"""The arguments that every task of every DAG has."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from include.failures.retry import RETRIES, RetryWhatHeals
from include.processes.drift import require_drawn_settings
from include.settings import RETRY


def task_arguments(execution_timeout: timedelta) -> dict[str, Any]:
    """The `default_args` of a DAG."""
    return {
        "owner": "data-engineering",
        "retries": RETRIES,
        "retry_policy": RetryWhatHeals(),
        "retry_delay": RETRY.value(),
        "pre_execute": require_drawn_settings,
        "execution_timeout": execution_timeout,
    }
