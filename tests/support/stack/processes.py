"""Processes of this machine, found and killed."""

from __future__ import annotations

import psutil


def client_of(port: int) -> int:
    """The process that holds the client's end of a connection on loopback."""
    return next(
        connection.pid
        for connection in psutil.net_connections("tcp")
        if connection.laddr.port == port and connection.pid and connection.status == psutil.CONN_ESTABLISHED
    )


def kill(pid: int) -> None:
    """`kill -9`; returns once the process has ended, which a large one takes a moment for."""
    process = psutil.Process(pid)
    process.kill()
    process.wait(30)
