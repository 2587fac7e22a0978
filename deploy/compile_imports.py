"""Compiles to bytecode what Airflow's processes import: Airflow itself, and the packages that it loads.

`python deploy/compile_imports.py` does it when the image is built. In Airflow's own image 33 of Airflow's 2,168 files
have bytecode, as it is deleted there to save space; pip compiles only what it installs. A process that cannot keep what
it compiles does so at each start, which is a third of the start's CPU. All of site-packages would be 670 MB of
bytecode; the packages that are loaded are some 60 MB.
"""

from __future__ import annotations

import compileall
import importlib
import re
import sys
import sysconfig
from pathlib import Path

SITE_PACKAGES = Path(sysconfig.get_path("purelib"))
# What the api-server, the scheduler, the DAG processor, the triggerer, a worker and the tasks begin with. None of these
# modules connects to anything, or writes a file, when it is imported.
ENTRIES = (
    "airflow.__main__",
    "airflow.api_fastapi.app",
    "airflow.dag_processing.manager",
    "airflow.jobs.scheduler_job_runner",
    "airflow.jobs.triggerer_job_runner",
    "airflow.providers.celery.executors.celery_executor",
    "airflow.providers.fab.auth_manager.fab_auth_manager",
    "airflow.providers.postgres.hooks.postgres",
    "airflow.sdk.execution_time.task_runner",
    "cosmos",
    "dbt.adapters.postgres",
    "dbt.cli.main",
)
# An image may hold a hundred providers, of which a process loads a few.
PROVIDERS = re.compile(r"/airflow/providers/")


def place_of(module: str) -> Path | None:
    """The file or folder in site-packages to compile for it: its outermost package, or its provider of Airflow's.

    None for a module of the standard library, or of this project.
    """
    names = module.split(".")
    for depth in range(3 if module.startswith("airflow.providers.") else 1, len(names) + 1):
        package = sys.modules.get(".".join(names[:depth]))
        file = getattr(package, "__file__", None)  # a namespace, such as `google`, has none
        if file and file.endswith(".py") and Path(file).is_relative_to(SITE_PACKAGES):
            return Path(file).parent if file.endswith("/__init__.py") else Path(file)
    return None


def main() -> None:
    for name in ENTRIES:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            print(f"{name} is not compiled: {error}", file=sys.stderr)
    places = sorted({place for name in list(sys.modules) if (place := place_of(name))})
    for place in places:
        if place.is_dir():
            # All of the package: much of it is imported later, when it is needed. Files that are no Python of this
            # version, which some packages ship as samples, are passed over.
            compileall.compile_dir(place, quiet=2, workers=0, rx=None if PROVIDERS.search(f"{place}/") else PROVIDERS)
        else:
            compileall.compile_file(place, quiet=2)
    print(f"Compiled {len(places)} packages of {SITE_PACKAGES}")


if __name__ == "__main__":
    main()
