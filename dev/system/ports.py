"""Loopback ports: a free one is chosen once and remembered, so that addresses survive a restart."""

import socket
from contextlib import suppress
from pathlib import Path

from dev.errors import StackError
from dev.system.files import write_private
from dev.system.waiting import within

LOOPBACK = "127.0.0.1"
# A killed server that has threads leaves the process list a moment before its socket is closed.
RELEASE_SECONDS = 2


def is_free(port: int) -> bool:
    """Whether a server could listen on the loopback port now."""
    with socket.socket() as probe:
        # As servers do: connections of a server that just ended (TIME_WAIT) are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def reserved_port(file: Path) -> int:
    """The port remembered in the file; a new one where there is none, or another program took it meanwhile."""
    with suppress(StackError):
        port = remembered_port(file)
        for _ in within(RELEASE_SECONDS, every=0.1):
            if is_free(port):
                return port
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port = int(probe.getsockname()[1])
    write_private(file, f"{port}\n")
    return port


def remembered_port(file: Path) -> int:
    """The port that was chosen last. Raises StackError where none was."""
    try:
        port = int(file.read_text())
    except (FileNotFoundError, ValueError):
        port = 0
    if not 0 < port < 1 << 16:
        raise StackError("The stack has not been started yet, or not to its end: make up")
    return port
