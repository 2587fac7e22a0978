"""Waiting for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")
# Between two questions, most of them to Airflow's API. Twice a second takes a fifth of what the api-server takes for
# three months of tasks.
POLL_SECONDS = 0.5


def until(
    holds: Callable[[], Found], otherwise: Callable[[], object], seconds: float, every: float = POLL_SECONDS
) -> Found:
    """Asks again and again until the answer is true, and returns that. Fails with `otherwise()` when time is up."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, otherwise()
        time.sleep(every)
    return found
