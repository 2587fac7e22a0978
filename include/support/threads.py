"""Runs work in a thread, and waits for it."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

Result = TypeVar("Result")


def result_of_thread(name: str, work: Callable[[], Result], seconds: float | None = None) -> Result:
    """What the work returns or raises. Raises TimeoutError after so many seconds; the thread then goes on by itself.

    An exception in the main thread, such as Airflow's timeout, ends the wait at once.
    """
    return begun_thread(name, work).result(seconds)


def begun_thread(name: str, work: Callable[[], Result]) -> Future[Result]:
    """What the work will return or raise; it goes on also if nobody waits for it.

    The thread has the caller's context variables. A process that ends does not wait for the thread.
    """
    result: Future[Result] = Future()
    result.set_running_or_notify_cancel()

    def run() -> None:
        try:
            result.set_result(work())
        except BaseException as error:
            result.set_exception(error)

    Thread(target=contextvars.copy_context().run, args=[run], name=name, daemon=True).start()
    return result
