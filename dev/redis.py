"""The broker of Celery's executor: Redis on this machine alone, with a password."""

import secrets
import shutil
import time
from pathlib import Path

from dev.background_process import BackgroundProcess
from dev.errors import StackError
from dev.ports import LOOPBACK, kept_port, remembered_port
from dev.private_file import write_private

READY_SECONDS = 20


class Redis:
    """One server per state folder. What is queued survives its end: it writes each command to disk within a second."""

    def __init__(self, state: Path) -> None:
        self._home = state / "redis"
        self._process = BackgroundProcess(state, "redis")

    def start(self) -> None:
        """Returns once it listens; one that runs is left alone. Raises StackError where it does not come up."""
        program = shutil.which("redis-server")
        if program is None:
            raise StackError(
                "EXECUTOR=celery needs Redis: apt-get install redis-server (or your system's package of that name), or "
                "name one that runs: BROKER_URL=redis://…"
            )
        if not self._process.is_running():
            kept_port(self._port_file)
        port = remembered_port(self._port_file)
        lines = [
            f"bind {LOOPBACK}",
            f"port {port}",
            f"requirepass {self._password()}",
            f"dir {self._home}",
            "appendonly yes",
            'save ""',
        ]
        settings = self._home / "redis.conf"
        write_private(settings, "\n".join(lines) + "\n")
        self._process.ensure([program, str(settings)], {})
        deadline = time.monotonic() + READY_SECONDS
        while not self._process.listens_on(port):
            if not self._process.is_running() or time.monotonic() > deadline:
                raise StackError(f"Redis does not listen; the end of {self._process.log}:\n{self._process.log_end()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """No-op where it does not run."""
        self._process.stop()

    def url(self) -> str:
        """With the password. The server must have been started once."""
        return f"redis://:{self._password()}@{LOOPBACK}:{remembered_port(self._port_file)}/0"

    @property
    def _port_file(self) -> Path:
        return self._home / "port"

    def _password(self) -> str:
        file = self._home / "password"
        if not file.exists():
            write_private(file, secrets.token_urlsafe(24))
        return file.read_text()
