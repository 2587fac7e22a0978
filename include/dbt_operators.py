"""The operators of the tasks that run dbt: Cosmos' own, which take the project's kept parse where there is one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from airflow.sdk import DAG, Context, TaskGroup
from cosmos.constants import DbtResourceType
from cosmos.dbt.graph import DbtNode
from cosmos.dbt.project import change_working_directory, environ
from cosmos.operators.local import AbstractDbtLocalBase, DbtRunLocalOperator, DbtTestLocalOperator
from dbt.cli.main import dbtRunner, dbtRunnerResult

from include.assets import figures_of_run, mark_events, raw_assets, table_asset
from include.dag_run import month_of
from include.datasets import Dataset
from include.kept_parse import parse_of_run
from include.manifest_nodes import ManifestNodes
from include.zone import default_zone

UNIT_TESTS = "resource_type:unit_test"  # they check the SQL, not the month: `make test` runs them, and no task


class WithKeptParse(AbstractDbtLocalBase):
    """Runs dbt in the task's process with the parse that it was forked with."""

    def run_dbt_runner(self, command: list[str], env: dict[str, str], cwd: str, **kwargs: Any) -> dbtRunnerResult:
        """`command` begins with dbt's name, as in a shell."""
        parse = parse_of_run(env)
        self.log.info("dbt %s: %s", "uses the parse it was given" if parse else "parses the project", command[1:])
        with change_working_directory(cwd), environ(env):
            return dbtRunner(parse).invoke(command[1:])


class RunModel(WithKeptParse, DbtRunLocalOperator):  # type: ignore[misc]
    """`dbt run` of one model."""


class TestNode(WithKeptParse, DbtTestLocalOperator):  # type: ignore[misc]
    """`dbt test` of the tests of one model or source, or of one test of several models."""


def converters(dataset: Dataset, nodes: ManifestNodes | None) -> dict[Any, Callable[..., Any]]:
    """What makes the tasks of the dataset's models and tests: Cosmos' `node_converters`.

    `nodes`: what Airflow shows of each; None where nobody looks at it, in the process of a task.
    """

    def run_model(
        *, dag: DAG, task_group: TaskGroup, node: DbtNode, task_id: str, task_args: dict[str, Any], **_: Any
    ) -> RunModel:
        """The task of a model. A mart's has the asset of its table as outlet, and those of the raw tables as inlets."""
        published: dict[str, Any] = {}
        if "marts" in (node.fqn or ()):
            published = {
                "inlets": raw_assets(dataset, nodes.raw_tables_behind(node.unique_id)) if nodes else [],
                "outlets": [table_asset(dataset.published_schema(), node.name)],
                "post_execute": partial(mark_published, dataset),
            }
        return RunModel(
            task_id=task_id,
            task_display_name=node.name,
            doc_md=nodes and nodes.of_model(node.unique_id),
            dag=dag,
            task_group=task_group,
            select=f"fqn:{'.'.join(node.fqn or ())}",
            **task_args | published,
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

        `detached_from_parent` are a model's tests that have tasks of their own. For such a task Cosmos hands on a node
        that has nothing to do with it.
        """
        if task_id == "test":
            apart = [_name(test) for test in detached_from_parent.get(node.unique_id, [])]
            is_source = node.resource_type == DbtResourceType.SOURCE
            select = f"source:{node.resource_name}" if is_source else node.resource_name
            title, doc = f"{node.name}: tests", nodes and nodes.of_tests_of(node.unique_id)
        else:
            apart = []
            names = {_name(test) for tests in detached_from_parent.values() for test in tests}
            [select] = [name for name in names if task_id == f"{name}_test"]
            title, doc = select, nodes and nodes.of_test(select)
        return TestNode(
            task_id=task_id,
            task_display_name=title,
            doc_md=doc,
            dag=dag,
            task_group=task_group,
            select=select,
            exclude=" ".join([UNIT_TESTS, *apart]),
            **task_args,
        )

    return {DbtResourceType.MODEL: run_model, DbtResourceType.TEST: run_tests}


def mark_published(dataset: Dataset, context: Context, _: Any) -> None:
    """Airflow's post_execute of a mart's task."""
    month = month_of(context["dag_run"], context["params"], default_zone())
    mark_events(context, context["task"].outlets, month, **figures_of_run(dataset, context))


def _name(test: DbtNode) -> str:
    """The test's name; its resource name may have a hash behind it."""
    return str(test.resource_name.split(".")[0])
