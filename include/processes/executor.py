"""An executor that has no workers while there is nothing to do, and tells the scheduler of a task's end at once.

For `[core] executor`; the local stack has it.
"""

from __future__ import annotations

import time

from airflow.executors import local_executor

IDLE_SECONDS = 60
# How long a loop of the scheduler waits for a task's end, and how often it looks: 0.03 ms of CPU each.
WAIT_SECONDS, LOOK_SECONDS = 0.45, 0.02


class RestingLocalExecutor(local_executor.LocalExecutor):
    """Airflow's LocalExecutor, whose workers end when no task has begun or ended for a minute.

    Six that have run tasks hold 280 MiB. LocalExecutor forks all workers anew when it has a task and some have ended.

    And it waits for the end of a task, where the scheduler would sleep for a fixed time whatever ends meanwhile. Set
    `[scheduler] scheduler_idle_sleep_time` to 0.05 with it: an idle scheduler then takes the CPU that it takes with
    Airflow's executor and 0.5.
    """

    idle_since: float | None = None

    def heartbeat(self) -> None:
        """Airflow calls it in each loop of the scheduler. Returns as soon as tasks are sent or have ended."""
        sends, until = bool(self.queued_tasks), time.monotonic() + WAIT_SECONDS
        super().heartbeat()
        while not sends and not self.event_buffer and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
            self.sync()

    def sync(self) -> None:
        """Airflow's executor calls it in each heartbeat. The buffer has what has ended since."""
        super().sync()
        now = time.monotonic()
        if self.event_buffer or not self.activity_queue.empty() or self.idle_since is None:
            self.idle_since = now
        elif self.workers and now - self.idle_since > IDLE_SECONDS:
            # A worker that takes one ends, as at LocalExecutor's own end; one that runs a task takes it after that.
            for _ in self.workers:
                self.activity_queue.put(None)
            self.idle_since = now
