"""The project's commands on a deployment: `python -m include manifest | docs | check | settings`."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable


def manifest() -> int:
    """write the dbt manifest that the DAGs are drawn from; connects to nothing"""
    from include.transform.manifest import make_manifest

    return 0 if make_manifest() else 1


def docs() -> int:
    """write dbt's docs, which Airflow shows behind its login; connects to nothing"""
    from include.report.queries import QUERIES
    from include.transform.dbt_docs import make_docs

    return 0 if make_docs(QUERIES) else 1


def check() -> int:
    """say what this Airflow process lacks to run the pipelines; 1 where tasks would fail"""
    from include.processes.check import main

    return main()


def settings() -> int:
    """print the settings as rows of a Markdown table"""
    from include.settings import markdown_rows

    print("\n".join(markdown_rows()))
    return 0


# Each imports what it needs when it is called: `check` must not load dbt, and `manifest` must not load Airflow.
COMMANDS: tuple[Callable[[], int], ...] = (manifest, docs, check, settings)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m include", description="The commands of a deployment.")
    commands = parser.add_subparsers(dest="command", required=True)
    for each in COMMANDS:
        commands.add_parser(each.__name__, help=each.__doc__, description=each.__doc__)
    chosen = parser.parse_args().command
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a character is no reason to fail
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        return next(each for each in COMMANDS if each.__name__ == chosen)()
    except ModuleNotFoundError as error:
        sys.exit(
            f"{sys.executable} has no {error.name}, which this command needs. Use the Python of the deployment, or "
            f"the local stack's: .local/venv/bin/python -m include {chosen}"
        )


if __name__ == "__main__":
    sys.exit(main())
