"""Runs the programs that are installed in this environment.

Python runs their modules. Their scripts, in the folder of Python itself, name that folder in their first line. The
kernel takes no such line with a blank or of over 127 characters, and a shell, which reads it instead, expands a `$`.
"""

import subprocess
import sys
from pathlib import Path

from dev.system.process import inherited_environment

# -P: the folder that a program is called in is no place of modules. A Celery worker has a copy of the project's.
MODULES = {
    "airflow": ["-P", "-m", "airflow"],
    "dbt": ["-P", "-c", "from dbt.cli.main import cli; cli(prog_name='dbt')"],
    "python": [],
}


def command(program: str, *arguments: str) -> list[str]:
    """The command line of `airflow`, `dbt` or `python` with these arguments."""
    return [sys.executable, *MODULES[program], *arguments]


def run(
    program: str, *arguments: str, environment: dict[str, str], capture: bool = False, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs it to its end, in the folder or this process' own; `capture` keeps both its outputs in `stdout`.

    It gets `inherited_environment`, and `environment` laid over that.
    """
    return subprocess.run(
        command(program, *arguments),
        env=inherited_environment() | environment,
        stdout=subprocess.PIPE if capture else None,
        stderr=subprocess.STDOUT if capture else None,
        text=True,
        cwd=folder,
    )
