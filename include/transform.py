"""How Cosmos renders and runs the dbt project: every model and every test its own Airflow task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from airflow.sdk import TaskGroup, get_parsing_context
from cosmos import DbtTaskGroup, ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import (
    ExecutionMode,
    InvocationMode,
    LoadMode,
    SourceRenderingBehavior,
    TestBehavior,
)

from include import manifest
from include.connection import warehouse_fields
from include.dag_run import DS, RUN_SCHEMA
from include.datasets import Dataset
from include.dbt_operators import UNIT_TESTS, converters
from include.libpq import dbt_environment
from include.manifest_nodes import ManifestNodes
from include.settings import DBT_MANIFEST, DBT_PROFILES, DBT_PROJECT, ROOT, SettingError


@dataclass
class WarehouseProfile(ProfileConfig):
    """The project's own profiles.yml, its PG_* variables taken from the Airflow connection when the task runs.

    They go to dbt alone: never into a template field, so Airflow neither renders nor stores the password.
    """

    profile_name: str = "taxi"
    target_name: str = "postgres"
    profiles_yml_filepath: str | Path | None = DBT_PROFILES

    @contextmanager
    def ensure_profile(
        self, desired_profile_path: Path | None = None, use_mock_values: bool = False
    ) -> Iterator[tuple[Path, dict[str, str]]]:
        with dbt_environment({} if use_mock_values else warehouse_fields()) as environment:
            yield DBT_PROFILES, environment


def dbt_task_group(group_id: str, dataset: Dataset, *, layers: list[str]) -> TaskGroup:
    """The dataset's models of these layers, each followed by its tests; marts declare their table's asset.

    A task's process reads the DAG file to run that one task. A group that does not hold the task is left empty there:
    rendering it would double the time that reading the file takes.

    Raises SettingError where the dbt manifest, which the tasks are rendered from, is missing or damaged.
    """
    running = get_parsing_context().task_id
    if running and not running.startswith(f"{group_id}."):
        return TaskGroup(group_id)
    try:
        group = _rendered(group_id, dataset, layers)
    except Exception as error:
        if why := manifest.fault():
            raise _unusable(why) from error
        raise
    if not group.children:
        raise _unusable(f"holds no model of {', '.join(layers)} for {dataset.name}")
    return group


def _unusable(why: str) -> SettingError:
    return SettingError(
        f"{DBT_MANIFEST} {why}, and the DAG is drawn from it. Make it anew, in {ROOT}: python -m include.manifest"
    )


def _rendered(group_id: str, dataset: Dataset, layers: list[str]) -> DbtTaskGroup:
    return DbtTaskGroup(
        group_id=group_id,
        project_config=ProjectConfig(
            dbt_project_path=DBT_PROJECT,
            manifest_path=DBT_MANIFEST,
            project_name="taxi",
            install_dbt_deps=False,
            dbt_vars={"ds": DS},
            env_vars={"PG_SCHEMA": dataset.published_schema(), "PG_RUN_SCHEMA": RUN_SCHEMA},
        ),
        profile_config=WarehouseProfile(),
        execution_config=ExecutionConfig(execution_mode=ExecutionMode.LOCAL, invocation_mode=InvocationMode.DBT_RUNNER),
        render_config=RenderConfig(
            load_method=LoadMode.DBT_MANIFEST,
            select=[f"path:models/{layer}/{dataset.models}" for layer in layers],
            exclude=[UNIT_TESTS],
            node_converters=converters(dataset, None if get_parsing_context().task_id else ManifestNodes()),
            node_conversion_by_task_group=False,
            test_behavior=TestBehavior.AFTER_EACH,
            # a test of two models would otherwise run as soon as the first of them is there
            should_detach_multiple_parents_tests=True,
            source_rendering_behavior=SourceRenderingBehavior.ALL,
            # Cosmos would emit assets named by run schema, a new set each month; each mart declares its own instead
            emit_datasets=False,
        ),
        operator_args={
            "partial_parse": False,
            # Nothing reads a task's manifest, run results and log file, so dbt writes none. --no-populate-cache: dbt
            # lists the relations of a schema when the task needs them, not those of both schemas at its start.
            "dbt_cmd_global_flags": ["--no-write-json", "--log-level-file", "none", "--no-populate-cache"],
            # Each thread has a connection of its own, and one task's tests keep them all busy. With the profile's 4, a
            # million rows' ten tests took 4.4 to 5.5 s, with 2 5.7 to 8.2 s, with 1 8.6 to 15 s (2 cores).
            "dbt_cmd_flags": ["--threads", "2"],
        },
    )
