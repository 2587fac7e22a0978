"""Measures the memory of the scheduler and of the tasks that it forks, while they run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from tests.support.meanwhile import meanwhile

INTERVAL_SECONDS = 0.5


@contextmanager
def memory(scheduler_pid: int) -> Iterator[dict[str, float]]:
    """Yields the highest memory seen, in MiB, of the scheduler, of one task, and of all together; looks twice a second.

    The scheduler's figure is its resident memory. A task's figure is the memory that it shares with no other process,
    without what it inherited unchanged from the scheduler. The figure of all together counts shared memory once.
    """
    most = {"the scheduler itself": 0.0, "one task": 0.0, "scheduler and tasks together": 0.0}
    scheduler = psutil.Process(scheduler_pid)

    def look() -> None:
        together = 0.0
        for process in [scheduler, *scheduler.children(recursive=True)]:
            with suppress(psutil.Error):
                found = process.memory_full_info()
                together += found.pss / 2**20
                what, size = ("the scheduler itself", found.rss) if process == scheduler else ("one task", found.uss)
                most[what] = max(most[what], size / 2**20)
        most["scheduler and tasks together"] = max(most["scheduler and tasks together"], together)

    with meanwhile(look, every=INTERVAL_SECONDS):
        yield most
