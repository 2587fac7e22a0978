"""Processes of this machine, found and killed."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler

import psutil


def client_of(port: int, server: int) -> int:
    """The process that holds the client's end of a connection on loopback, from `port` to the server's port.

    Both ends decide: connections of several processes may leave from one port, each to another server.
    """
    return next(
        connection.pid
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_ESTABLISHED
        and (connection.laddr.port, connection.raddr.port) == (port, server)
        and connection.pid
    )


def asker(request: BaseHTTPRequestHandler) -> int:
    """The process on this machine that a mirror's request comes from."""
    return client_of(request.client_address[1], request.server.server_address[1])


def kill(pid: int) -> None:
    """`kill -9`; returns once the process has ended, which a large one takes a moment for."""
    process = psutil.Process(pid)
    process.kill()
    process.wait(30)
