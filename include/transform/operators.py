"""The operators of the tasks that run dbt, one command each, in the task's own process."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import DAG, BaseOperator, Context, TaskGroup
from cosmos.constants import DbtResourceType
from cosmos.dbt.graph import DbtNode
from cosmos.dbt.project import environ
from cosmos.dbt.runner import handle_exception_if_needed
from cosmos.exceptions import CosmosDbtRunError

from include.datasets import Dataset
from include.month import Month
from include.openlineage.dbt import NodeOfTask, lineage_of_dbt
from include.openlineage.names import Database
from include.runs.assets import raw_assets, table_asset
from include.support.threads import result_of_thread
from include.transform.code_version import OF_CODE
from include.transform.dbt_log import DbtLog
from include.transform.manifest import places, stale
from include.transform.parse_cache import parse_of_run
from include.transform.published import mark_published
from include.transform.task_docs import ManifestNodes
from include.warehouse.connection import warehouse_fields
from include.warehouse.libpq import dbt_environment

if TYPE_CHECKING:  # whoever reads a DAG file imports this module, and dbt takes 50 MiB
    from airflow.providers.openlineage.extractors import OperatorLineage
    from dbt.cli.main import dbtRunnerResult
    from dbt.contracts.graph.manifest import Manifest

UNIT_TESTS = "resource_type:unit_test"  # no task runs them, as they check the SQL, not the month: `make test` does
# Nothing reads a task's manifest, run results and log file, so dbt writes none. --no-populate-cache: dbt lists the
# relations of a schema when the task needs them, not those of both schemas at its start. Each thread has a connection
# of its own, and one task's tests keep them all busy: ten tests of a million rows took 4.4 to 5.5 s with the profile's
# 4 threads, 5.7 to 8.2 s with 2, and 8.6 to 15 s with 1 (2 cores). DbtLog writes dbt's lines to the task's log.
OPTIONS = (
    *("--no-write-json", "--no-partial-parse", "--no-populate-cache", "--threads", "2"),
    *("--log-level", "none", "--no-use-colors"),
)


class RunDbt(BaseOperator):
    """Runs a dbt command on the nodes that `select` names and `exclude` does not, both in dbt's syntax.

    dbt gets `env`, `vars` and the connection. The connection is in no template field, so that Airflow neither renders
    nor stores the password. `node`: for OpenLineage; without it events name no tables. Raises DbtFailed.
    """

    template_fields: Sequence[str] = ("env", "vars", "select", "compiled_sql")
    template_fields_renderers: ClassVar[dict[str, str]] = {"compiled_sql": "sql"}
    overwrite_rtif_after_execution = True  # Airflow then shows compiled_sql as it is after the run
    command: str

    def __init__(
        self,
        *,
        select: str,
        exclude: str,
        env: dict[str, str],
        vars: dict[str, str],
        node: NodeOfTask | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.select, self.exclude, self.env, self.vars, self.node = select, exclude, env, vars, node
        self.compiled_sql = ""
        self._results: Sequence[Any] = ()  # dbt's own, of each node that ran

    def execute(self, context: Context) -> None:
        with (
            tempfile.TemporaryDirectory() as target,
            dbt_environment(warehouse_fields()) as connection,
            environ(environment := self._environment() | connection),
        ):
            parse = parse_of_run(environment)
            words = [self.command, "--select", self.select, "--vars", json.dumps(self.vars)]
            words += ["--exclude", self.exclude] if self.exclude else []
            self.log.info(
                "Running with dbt=%s. dbt %s: %s",
                version("dbt-core"),
                "uses the parse it was given" if parse else "parses the project",
                words,
            )
            said = DbtLog(target)
            result = _run(parse, [*words, *OPTIONS, *places(target)], said)
            self.compiled_sql = _sql_in(Path(target))
        self._results = getattr(result.result, "results", ())
        try:
            handle_exception_if_needed(result)
        except CosmosDbtRunError as error:
            raise said.failure(str(error), result) from None

    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any] | None:
        """Airflow's OpenLineage provider calls it in the task's process, where a transport is set."""
        if not self.node:
            return None
        return lineage_of_dbt(
            self.node,
            Database.of(warehouse_fields()),
            schema=self.env["PG_SCHEMA"],
            month=Month.containing(self.vars["ds"]),
            results=self._results,
        )

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """It calls this one when the task has ended, or failed."""
        return self.get_openlineage_facets_on_start()

    def _environment(self) -> dict[str, str]:
        """`env`, without the version of the code where that is not known: the files may be newer than the manifest."""
        if not stale():
            return self.env
        return {name: value for name, value in self.env.items() if name not in OF_CODE}


class RunModel(RunDbt):
    """`dbt run` of one model."""

    command = "run"


class TestNode(RunDbt):
    """`dbt test` of the tests of one model or source, or of one test of several models."""

    command = "test"


def _run(parse: Manifest | None, words: Sequence[str], said: DbtLog) -> dbtRunnerResult:
    """Runs dbt in a thread. Airflow's timeout, which is raised in the main thread, ends the wait at once.

    dbt calls inspect.stack() for each of its behaviour flags, which looks up the source of every frame of the thread. A
    task is forked below some 80 frames of Celery or Airflow; a new thread has none of them.
    """
    from dbt.cli.main import dbtRunner

    return result_of_thread("dbt", lambda: dbtRunner(parse, callbacks=[said]).invoke(list(words)))


def _sql_in(target: Path) -> str:
    """The statements that dbt has compiled and run, each below the name of its file."""
    return "\n\n".join(
        f"-- {file.relative_to(target)}\n{file.read_text(encoding='utf-8')}" for file in sorted(target.rglob("*.sql"))
    )


def converters(dataset: Dataset, nodes: ManifestNodes) -> dict[Any, Callable[..., Any]]:
    """Cosmos' `node_converters`, which make the tasks of the dataset's models and tests."""

    def run_model(
        *, dag: DAG, task_group: TaskGroup, node: DbtNode, task_id: str, task_args: dict[str, Any], **_: Any
    ) -> RunModel:
        """The task of a model. A mart's outlet is the asset of its table, and its inlets those of the raw tables."""
        published: dict[str, Any] = {}
        if "marts" in (node.fqn or ()):
            published = {
                "inlets": raw_assets(dataset, nodes.raw_tables_behind(node.unique_id)),
                "outlets": [table_asset(dataset.published_schema(), node.name)],
                "post_execute": partial(mark_published, dataset, node.name),
            }
        return RunModel(
            task_id=task_id,
            task_display_name=node.name,
            doc_md=nodes.doc_of_model(node.unique_id),
            dag=dag,
            task_group=task_group,
            select=f"fqn:{'.'.join(node.fqn or ())}",
            exclude="",
            env=task_args["env"],
            vars=task_args["vars"],
            node=NodeOfTask("run", node.unique_id, dataset),
            **published,
        )

    def run_tests(
        *,
        dag: DAG,
        task_group: TaskGroup,
        node: DbtNode,
        task_id: str,
        task_args: dict[str, Any],
        detached_from_parent: dict[str, list[DbtNode]],
        **_: Any,
    ) -> TestNode:
        """The task of a model's or source's tests, `test`, or of one test of several models.

        `detached_from_parent`: by model, the tests that have tasks of their own. For such a task Cosmos passes a `node`
        that has nothing to do with it.
        """
        if task_id == "test":
            apart = [_name(test) for test in detached_from_parent.get(node.unique_id, [])]
            is_source = node.resource_type == DbtResourceType.SOURCE
            select = f"source:{node.resource_name}" if is_source else node.resource_name
            title, doc, unique_id = f"{node.name}: tests", nodes.doc_of_tests(node.unique_id), node.unique_id
        else:
            apart = []
            ids = {_name(test): test.unique_id for tests in detached_from_parent.values() for test in tests}
            [(select, unique_id)] = [(name, id) for name, id in ids.items() if task_id == f"{name}_test"]
            title, doc = select, nodes.doc_of_test(select)
        return TestNode(
            task_id=task_id,
            task_display_name=title,
            doc_md=doc,
            dag=dag,
            task_group=task_group,
            select=select,
            exclude=" ".join([UNIT_TESTS, *apart]),
            env=task_args["env"],
            vars=task_args["vars"],
            node=NodeOfTask("test", unique_id, dataset),
        )

    return {DbtResourceType.MODEL: run_model, DbtResourceType.TEST: run_tests}


def _name(test: DbtNode) -> str:
    """The test's name, without the hash that its resource name may end in."""
    return str(test.resource_name.split(".")[0])
