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

    The thread has the caller's context variables. An exception in the main thread, such as Airflow's timeout, ends the
    wait at once. A process that ends does not wait for the thread.
    """
    result: Future[Result] = Future()

    def run() -> None:
        try:
            result.set_result(work())
        except BaseException as error:
            result.set_exception(error)

    Thread(target=contextvars.copy_context().run, args=[run], name=name, daemon=True).start()
    return result.result(seconds)
