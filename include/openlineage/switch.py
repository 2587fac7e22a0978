"""Says whether OpenLineage events are sent: the provider is installed, and a transport is set."""

from __future__ import annotations

from functools import cache


@cache
def sends_events() -> bool:
    """As the provider decides it. False where it is not installed, or `[openlineage] disabled` is set."""
    try:
        from airflow.providers.openlineage import conf
    except ImportError:
        return False
    return not conf.is_disabled()
