"""Something that is done again and again while something else goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def meanwhile(action: Callable[[], None], every: float) -> Iterator[None]:
    """Calls the action in a thread, each time `every` seconds after the last call has ended.

    What the action raises ends that, and is raised at the end.
    """
    stop = threading.Event()
    raised: list[Exception] = []

    def repeat() -> None:
        try:
            while not stop.wait(every):
                action()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if raised:
        raise raised[0]
