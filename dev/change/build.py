"""Builds the models that a developer changed in schemas of their own: `dbt build --target dev`.

The models above them are read from production's tables, by dbt's `--defer --state`, where these are made from the file
that is loaded now, by the SQL of the base. Where they are not, or where such a model was changed too, it is built as
well.
"""

import argparse
import contextlib
import io
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

from dev.change.base_manifest import write_state
from dev.change.production_tables import ProductionTables, production_tables
from dev.change.workshop import Workshop
from dev.console import console
from include.settings import DBT_PROJECT
from include.transform.code_version import CodeVersion, variables_of, version_of_manifest
from include.transform.manifest import places

MODIFIED, CHANGED = "state:modified", "state:modified+"


@dataclass(frozen=True)
class Plan:
    """Ids of models. `asked`: selected. `changed`: other than in the base manifest; `touched`: these, and models below.

    Of the models above the asked ones, `needed` are built as well, and `read` are read from production.
    """

    asked: set[str]
    changed: set[str]
    touched: set[str]
    needed: set[str]
    read: set[str]


def build(workshop: Workshop, words: list[str], base: dict[str, Any], base_name: str) -> int:
    """Builds what the words select, else what differs from the manifest `base`. Returns dbt's exit status.

    `words` are options of `dbt build`. Raises StackError where the month is not loaded.
    """
    code = version_of_manifest(base, workshop.dataset.models)
    production = production_tables(
        workshop.address.uri(), workshop.dataset, workshop.published, workshop.month, code.version
    )
    state = workshop.folder / "state"
    write_state(base, state, workshop.address.dbname, workshop.published, production.run_schema)
    options, others = _selection(words)
    exclude = ["--exclude", *options.exclude] if options.exclude else []
    with workshop.address.dbt_environment() as connection:
        os.environ.update(connection | {"PG_SCHEMA": workshop.published, "DEV_USER": workshop.user})
        os.environ.pop("PG_RUN_SCHEMA", None)
        common = ["--target", "dev", "--vars", json.dumps({"ds": workshop.month.ds}), *places(workshop.folder)]
        parsed = dbtRunner().invoke(["parse", "--quiet", "--no-write-json", *common])
        if not parsed.success or not isinstance(parsed.result, Manifest):
            console.print(str(parsed.exception), style="red", markup=False)
            return 1
        manifest = parsed.result
        common += ["--state", str(state)]
        other = _other_models(manifest, code, workshop.dataset.models)
        with_later = [CHANGED, *(f"{name}+" for name in other)]
        select = options.select or with_later
        asked, changed, touched = (
            _models(manifest, ["--select", *words, *common])
            for words in ([*select, *exclude], [MODIFIED, *other], with_later)
        )
        if asked is None or changed is None or touched is None:
            return 1
        if not asked and not options.select:
            console.print(
                f"No model differs from {base_name}. To compare with another revision: BASE=<revision>. "
                "To build a model all the same: ARGS='-s fct_trips'"
            )
            return 0
        needed, read = _above(manifest, asked, touched, production)
        _tell(workshop, base_name, manifest, Plan(asked, changed, touched, needed, read), production)
        select = [*select, *(manifest.nodes[each].name for each in sorted(needed))]
        command = ["build", "--select", *select, *exclude, *others, "--defer", "--favor-state", *common]
        done = dbtRunner(manifest).invoke([*command, "--no-write-json"])
    if done.exception:
        console.print(str(done.exception), style="red", markup=False)
    return 0 if done.success else 1


def _other_models(manifest: Manifest, base: CodeVersion, folder: str) -> list[str]:
    """The names of the models that are others than in the base, by a variable too, which dbt does not compare."""
    present = manifest.writable_manifest().to_dict(omit_none=False)
    present["metadata"]["env"] |= variables_of(DBT_PROJECT)
    models = {node.name for id, node in manifest.nodes.items() if id.startswith("model.")}
    return [name for name in version_of_manifest(present, folder).changed_since(base.models) if name in models]


def _selection(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Splits dbt's words: what they select and exclude, and the other words."""
    parser = argparse.ArgumentParser(prog="ARGS", add_help=False, allow_abbrev=False)
    parser.add_argument("-s", "--select", "-m", "--models", nargs="+", action="extend")
    parser.add_argument("--exclude", nargs="+", action="extend")
    return parser.parse_known_args(words)


def _models(manifest: Manifest, words: list[str]) -> set[str] | None:
    """The ids of the models that dbt's selection finds; None where dbt refuses it, and says why."""
    command = ["list", "--resource-type", "model", "--output", "json", "--output-keys", "unique_id", *words]
    with contextlib.redirect_stdout(io.StringIO()):
        done = dbtRunner(manifest).invoke([*command, "--quiet"])
    if not done.success or not isinstance(done.result, list):
        console.print(str(done.exception), style="red", markup=False)
        return None
    return {json.loads(line)["unique_id"] for line in done.result}


def _above(
    manifest: Manifest, asked: set[str], touched: set[str], production: ProductionTables
) -> tuple[set[str], set[str]]:
    """The plan's `needed` and `read`."""
    needed: set[str] = set()
    read: set[str] = set()
    left = list(asked)
    while left:
        for above in manifest.nodes[left.pop()].depends_on_nodes:
            if above not in manifest.nodes or above in asked | needed | read:
                continue
            if above not in touched and production.holds(manifest.nodes[above].name):
                read.add(above)
            else:
                needed.add(above)
                left.append(above)
    return needed, read


def _tell(workshop: Workshop, base_name: str, manifest: Manifest, plan: Plan, production: ProductionTables) -> None:
    def names(ids: Iterable[str]) -> str:
        return ", ".join(sorted(manifest.nodes[each].name for each in ids)) or "none"

    console.print(f"Changed since {base_name}: {names(plan.changed)}")
    console.print(f"Built in {workshop.schema} and {workshop.schema}_{workshop.month.ds_nodash}: {names(plan.asked)}")
    if changed := plan.needed & plan.touched:
        console.print(f"  and above them, as they or what they are made from was changed: {names(changed)}")
    if absent := plan.needed - plan.touched:
        why = f"as production has none that the SQL of {base_name} made from the file that is loaded now"
        console.print(f"  and above them, {why}: {names(absent)}")
    of_run = {each for each in plan.read if manifest.nodes[each].name in production.of_run}
    if of_run:
        console.print(f"Read from {production.run_schema}: {names(of_run)}")
    if published := plan.read - of_run:
        console.print(f"Read from {workshop.published}: {names(published)}")
