"""Waiting for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")
# Between two looks, most of them at Airflow's API. Twice a second takes a fifth of what the api-server takes for three
# months of tasks.
POLL_SECONDS = 0.5


def until(
    look: Callable[[], Found],
    holds: Callable[[Found], object] = bool,
    *,
    seconds: float,
    every: float = POLL_SECONDS,
    besides: Callable[[], object] = str,
) -> Found:
    """Looks again and again until what it finds holds, and returns that.

    Fails when time is up, with what it found last and what `besides` says then.
    """
    deadline = time.monotonic() + seconds
    while not holds(found := look()):
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still {found} {besides()}"
        time.sleep(every)
    return found
