"""Tries a change of the dbt project on a month, beside the project as it was: for CI, and before a push."""

import os
import shutil
import tempfile
from pathlib import Path

from rich.markdown import Markdown

from dev.change.base_manifest import base_manifest, commit_of, dbt_project_of, project_differs
from dev.change.build import build
from dev.change.diff_text import as_markdown
from dev.change.table_diff import compare
from dev.change.workshop import Workshop
from dev.console import console
from dev.errors import StackError
from dev.services.postgres import EmbeddedPostgres
from dev.services.warehouse_address import WarehouseAddress
from dev.system.programs import run
from dev.tlc.mirror import TlcMirror
from dev.tlc.sample_months import file_of, write_month, write_zones
from include.datasets import Dataset
from include.ingest.load import load_month
from include.month import Month
from include.transform.manifest import places

STUDENT, USER = "ci", "ci"
ROWS = 20_000


def try_change(base: str, dataset: Dataset, month: Month, state: Path, tlc_dir: str | None) -> int:
    """Builds the month as of `base`, then what was changed since, with its unit tests, and says what that changes.

    It uses a Postgres of its own, which is thrown away, and the month's file in `tlc_dir`, else a made-up one. Where
    GITHUB_STEP_SUMMARY names a file, the differences are appended to it. Returns 1 where a test or a build fails.
    """
    commit = commit_of(base)
    if not project_differs(commit):
        console.print(f"No file of the dbt project differs from {base} ({commit[:12]}): there is nothing to build.")
        return 0
    manifest = base_manifest(commit, state / "base")
    postgres = EmbeddedPostgres(state / "dbt-ci", durable=False)
    shutil.rmtree(postgres.state, ignore_errors=True)
    postgres.start()
    try:
        published = dataset.published_schema(STUDENT)
        _publish_as_of(commit, dataset, month, published, postgres, tlc_dir)
        developer = WarehouseAddress.from_dsn(postgres.dsn(role="developer"))
        workshop = Workshop(dataset, month, developer, published, USER, postgres.state / "dbt")
        console.rule("The change")
        ended = build(workshop, [], manifest, f"{base} ({commit[:12]})")
        differences = compare(workshop)
        text = as_markdown(differences, workshop.schema, published) if differences else "No table was built.\n"
        console.print(Markdown(text), soft_wrap=False)
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            outcome = "A build or a test failed.\n\n" if ended else ""
            with Path(summary).open("a") as file:
                file.write(f"## dbt: {dataset.name} {month}, compared with {commit[:12]}\n\n{outcome}{text}")
        return ended
    finally:
        postgres.stop()
        shutil.rmtree(postgres.state, ignore_errors=True)


def _publish_as_of(
    commit: str, dataset: Dataset, month: Month, published: str, postgres: EmbeddedPostgres, tlc_dir: str | None
) -> None:
    """Loads the month and builds all of it with the dbt project as of the commit, as production would."""
    with tempfile.TemporaryDirectory() as scratch, dbt_project_of(commit) as project:
        folder = Path(tlc_dir) if tlc_dir else Path(scratch)
        if not tlc_dir:
            write_zones(folder)
            write_month(folder, str(month), ROWS, dataset=dataset)
        elif not file_of(folder, dataset, month).exists():
            raise StackError(f"TLC_DIR={tlc_dir} has no {file_of(folder, dataset, month).name}.")
        with TlcMirror(folder) as mirror:
            load_month(dataset, month, mirror.url, postgres.dsn(), published, "dbt-ci")
        console.rule(f"As of {commit[:12]}")
        words = ["build", "--exclude-resource-type", "unit_test", "--vars", f"{{ds: {month.ds}}}"]
        words += places(Path(scratch) / "target", project / "dbt", project / "profiles")
        with WarehouseAddress.from_dsn(postgres.dsn()).dbt_environment() as connection:
            done = run("dbt", *words, environment=connection | {"PG_SCHEMA": published})
        if done.returncode:
            raise StackError(f"The project as of {commit[:12]} does not build {month}: nothing to compare with.")
