"""Explains each failure at the end of the failed task's log, and to whoever is told.

Airflow loads this module in every process, so its functions import what they need.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from airflow.listeners import hookimpl

log = logging.getLogger(__name__)

# A task's process reports its state first, and its reason within 20 s of that ([core] task_success_overtime). On a busy
# machine a run had ended before the reason was there.
REASON_SECONDS = 20


@hookimpl(trylast=True)  # after include.failures.reason, so that these lines are the last
def on_task_instance_failed(task_instance: Any, error: str | BaseException | None) -> None:
    """Airflow calls this in the task's process, once it is decided whether the task is tried again.

    For a task that was killed, or marked as failed, Airflow calls it in another process, with a string as the error.
    """
    from include.failures.retry import RetryWhatHeals

    if not isinstance(error, BaseException) or not isinstance(task_instance.task.retry_policy, RetryWhatHeals):
        return
    from include.failures.explanation import Failure

    failure = Failure(task_instance, error)
    is_tried_again = task_instance.state == "up_for_retry"
    if not is_tried_again:
        failure.tell()
    log.info("::endgroup::")  # of `Post Execute`, which the UI shows folded up
    for line in (*failure.rows(), failure.what(), failure.why(), failure.what_to_do(is_tried_again)):
        log.error("%s", line)


def tell_of_a_killed_task(context: Mapping[str, Any]) -> None:
    """Tells of a month whose run has failed, if the task's process could not: it was killed, or never begun.

    A DAG's on_failure_callback: the dag-processor calls it when a run has failed for good. Unlike a task's
    on_failure_callback it does not change how tasks are tried again (include.failures.reason).
    """
    from include.failures.reason import KEY

    task = context.get("ti")
    if task is None:
        return
    deadline = time.monotonic() + REASON_SECONDS
    while not task.xcom_pull(task_ids=task.task_id, key=KEY):
        if time.monotonic() > deadline:
            from include.failures.explanation import Failure

            Failure(task, None).tell()
            return
        time.sleep(1)
