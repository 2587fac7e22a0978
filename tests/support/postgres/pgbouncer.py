"""A pooler in front of a Postgres on loopback: pgbouncer in transaction mode, by which sessions serve many clients."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from dev.system.files import write_private
from dev.system.ports import LOOPBACK

SBIN = "/usr/sbin"  # Debian's place for servers, and not on everyone's PATH
READY_SECONDS = 20
POOL = 4


@dataclass(frozen=True)
class Pooler:
    """Listens on `port`, in front of the server that `server_port` is of."""

    port: int
    server_port: int

    def dsn(self, dsn: str) -> str:
        """The URI of the server, by way of the pooler."""
        return dsn.replace(f":{self.server_port}/", f":{self.port}/")


def program() -> str:
    """pgbouncer's. Fails where there is none: the tests are not skipped."""
    found = shutil.which("pgbouncer", path=os.pathsep.join([os.environ.get("PATH", os.defpath), SBIN]))
    assert found, "pgbouncer is not installed: run make pgbouncer"
    return found


@contextmanager
def pgbouncer(dsn: str, folder: Path, **settings: str | int) -> Iterator[Pooler]:
    """In front of every database of the server, for the role of the URI; `settings` are pgbouncer's own.

    What it reads lies in the folder and is its owner's alone. Started by root, which it refuses to work as, it becomes
    another user once it has read that.
    """
    login = conninfo_to_dict(dsn)
    port, server_port, users, config = _free_port(), int(login["port"]), folder / "users.txt", folder / "pgbouncer.ini"
    write_private(users, f'"{login["user"]}" "{login["password"]}"\n')
    options = {
        "listen_addr": LOOPBACK,
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "auth_file": users,
        "pool_mode": "transaction",
        "default_pool_size": POOL,
        **({"user": _other_user()} if os.geteuid() == 0 else {}),
        **settings,
    }
    lines = ["[databases]", f"* = host={LOOPBACK} port={server_port}", "[pgbouncer]"]
    write_private(config, "\n".join([*lines, *(f"{name} = {value}" for name, value in options.items()), ""]))
    log = folder / "pgbouncer.log"
    with log.open("w") as output:
        process = subprocess.Popen([program(), str(config)], stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_until_it_listens(process, port, log)
        yield Pooler(port, server_port)
    finally:
        process.kill()
        process.wait()


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((LOOPBACK, port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"pgbouncer does not listen:\n{log.read_text()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _other_user() -> str:
    return "postgres" if "postgres" in {entry.pw_name for entry in pwd.getpwall()} else "nobody"
