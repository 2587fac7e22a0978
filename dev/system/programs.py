"""The programs that this environment installed beside its Python."""

import subprocess
import sys
from pathlib import Path

from dev.system.process import inherited_environment


def command(program: str, *arguments: str) -> list[str]:
    """A command line: `airflow`, `dbt` or `python`, with its arguments."""
    return [str(Path(sys.executable).with_name(program)), *arguments]


def run(
    program: str, *arguments: str, environment: dict[str, str], capture: bool = False, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, `environment` laid over this process' own; `capture` keeps both its outputs in `stdout`.

    `folder`: where it runs, else in this process' own.
    """
    return subprocess.run(
        command(program, *arguments),
        env=inherited_environment() | environment,
        stdout=subprocess.PIPE if capture else None,
        stderr=subprocess.STDOUT if capture else None,
        text=True,
        cwd=folder,
    )
