"""Tries a change of the dbt project on a month, beside the project as it was: for CI, and before a push."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from rich.markdown import Markdown

from dev.change.base_manifest import base_manifest, commit_of, dbt_project_of, project_differs, read_manifest
from dev.change.build import build
from dev.change.diff_text import as_markdown
from dev.change.reached_columns import reached
from dev.change.table_diff import compare
from dev.change.workshop import Workshop
from dev.console import console
from dev.errors import StackError
from dev.services.postgres import EmbeddedPostgres
from dev.services.warehouse_address import WarehouseAddress
from dev.system.programs import run
from dev.tlc.mirror import TlcMirror
from dev.tlc.sample_months import file_of, write_month, write_zones
from include.datasets import DATASETS, Dataset
from include.ingest.load import load_month
from include.lineage.graph import tables_of
from include.month import Month
from include.settings import DBT_PROJECT
from include.support.counted import counted
from include.transform.code_version import variables_of, version_of_manifest
from include.transform.manifest import compiled_sql, places, run_dbt

STUDENT, USER = "ci", "ci"
ROWS = 20_000


def try_change(
    base: str, dataset: Dataset, month: Month, state: Path, tlc_dir: str | None, published_months: dict[str, int | None]
) -> int:
    """Builds the month as of `base`, then what was changed since, with its unit tests, and says what that changes.

    It also says which published months it makes outdated. `published_months`: how many there are, by dataset; None
    where that is not known. It uses a Postgres of its own, which is thrown away, and the month's file in `tlc_dir`,
    else a made-up one. Where GITHUB_STEP_SUMMARY names a file, the differences are appended to it. Returns 1 where a
    test or a build fails.
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
        before = version_of_manifest(manifest, dataset.models)
        built = _publish_as_of(commit, before.version, dataset, month, published, postgres, tlc_dir)
        developer = WarehouseAddress.from_dsn(postgres.dsn(role="developer"))
        workshop = Workshop(dataset, month, developer, published, USER, postgres.state / "dbt")
        console.rule("The change")
        ended = build(workshop, [], manifest, f"{base} ({commit[:12]})")
        differences = compare(workshop)
        text = as_markdown(differences, workshop.schema, published) if differences else "No table was built.\n"
        rows = (
            f"the real rows of {tlc_dir}"
            if tlc_dir
            else f"{ROWS:,} made-up rows (dev/tlc/sample_months.py), no real ones"
        )
        parse, present = _parsed(postgres.state)
        text = f"Compared on {rows}.\n\n{text}\n{_outdated_by(manifest, present, published_months)}"
        text += _reached_by(built, present, parse, dataset, month, published, before.version)
        console.print(Markdown(text), soft_wrap=False)
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            outcome = "A build or a test failed.\n\n" if ended else ""
            with Path(summary).open("a") as file:
                file.write(f"## dbt: {dataset.name} {month}, compared with {commit[:12]}\n\n{outcome}{text}")
        return ended
    finally:
        postgres.stop()
        shutil.rmtree(postgres.state, ignore_errors=True)


def _parsed(target: Path) -> tuple[Any, dict[str, Any]]:
    """The changed project as dbt parses it, and as a manifest."""
    parse = run_dbt(target, "parse")
    if parse is None:
        raise StackError("dbt refuses the changed project: see above.")
    manifest = read_manifest(target / "manifest.json")
    manifest["metadata"]["env"] |= variables_of(DBT_PROJECT)
    return parse, manifest


def _reached_by(
    base: dict[str, Any], present: dict[str, Any], parse: Any, dataset: Dataset, month: Month, published: str, code: str
) -> str:
    """Which published columns the change reaches, and which way, as Markdown.

    `base`: the manifest of the project as it was, with the SQL that was run. The present one is compiled alike.
    """
    os.environ |= {"PG_SCHEMA": published, "CODE_VERSION": code}
    os.environ.pop("PG_RUN_SCHEMA", None)
    models = {
        id: node["compiled_code"]
        for id, node in base["nodes"].items()
        if node["resource_type"] == "model" and node.get("compiled_code")
    }
    with tempfile.TemporaryDirectory() as target:
        compiled = compiled_sql(Path(target), parse, dataset.models, month.ds)
    if compiled is None:
        raise StackError("dbt refuses to compile the changed project: see above.")
    found = reached(tables_of(dataset, base, models), tables_of(dataset, present, compiled))
    return f"\n### Published columns that the change reaches\n\n{found}\n"


def _outdated_by(base: dict[str, Any], present: dict[str, Any], published_months: dict[str, int | None]) -> str:
    """Which published months the change makes outdated, and by which models, as Markdown."""
    lines = []
    for dataset in DATASETS.values():
        before, after = (version_of_manifest(each, dataset.models) for each in (base, present))
        if before.version == after.version:
            lines.append(
                f"- {dataset.name}: no month. The models, the macros that they call and the audits are the same."
            )
            continue
        count = published_months.get(dataset.name)
        months = "every published month"
        if count is not None:
            months = f"{counted(count, 'month')}, all that the local stack has published"
        changed = ", ".join(f"`{name}`" for name in after.changed_since(before.models))
        lines.append(
            f"- {dataset.name}: {months}, by {changed} (version {before.version} to {after.version}). Until they "
            f"are rebuilt, readers see what the earlier version made. `make rebuild DATASET={dataset.name}` makes them "
            "anew from the loaded rows, without asking the source."
        )
    return "\n".join(["### Months that the change makes outdated", "", *lines, ""])


def _publish_as_of(
    commit: str,
    code: str,
    dataset: Dataset,
    month: Month,
    published: str,
    postgres: EmbeddedPostgres,
    tlc_dir: str | None,
) -> dict[str, Any]:
    """Loads the month and builds all of it with the dbt project as of the commit, as production would.

    Returns dbt's manifest, with the SQL of each model.
    """
    with tempfile.TemporaryDirectory() as scratch, dbt_project_of(commit) as project:
        folder = Path(tlc_dir) if tlc_dir else Path(scratch)
        if not tlc_dir:
            write_zones(folder)
            write_month(folder, str(month), ROWS, dataset=dataset)
        elif not file_of(folder, dataset, month).exists():
            raise StackError(f"TLC_DIR={tlc_dir} has no {file_of(folder, dataset, month).name}.")
        with TlcMirror(folder) as mirror:
            load_month(dataset, month, mirror.address, postgres.dsn(), published, "dbt-ci")
        console.rule(f"As of {commit[:12]}")
        words = ["build", "--exclude-resource-type", "unit_test", "--vars", f"{{ds: {month.ds}}}"]
        words += places(Path(scratch) / "target", project / "dbt", project / "profiles")
        with WarehouseAddress.from_dsn(postgres.dsn()).dbt_environment() as connection:
            done = run("dbt", *words, environment=connection | {"PG_SCHEMA": published, "CODE_VERSION": code})
        if done.returncode:
            raise StackError(f"The project as of {commit[:12]} does not build {month}: nothing to compare with.")
        return read_manifest(Path(scratch) / "target" / "manifest.json")
