"""Runs the programs that are installed beside this environment's Python."""

import subprocess
import sys
from pathlib import Path

from dev.system.process import inherited_environment


def command(program: str, *arguments: str) -> list[str]:
    """The command line of `airflow`, `dbt` or `python` with these arguments."""
    return [str(Path(sys.executable).with_name(program)), *arguments]


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
