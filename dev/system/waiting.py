"""Waiting for what another process does."""

import time
from collections.abc import Iterator


def within(seconds: float, *, every: float) -> Iterator[None]:
    """For a loop that looks now, then `every` so many seconds, and once more when the time is up."""
    deadline = time.monotonic() + seconds
    yield
    while time.monotonic() < deadline:
        time.sleep(every)
        yield
