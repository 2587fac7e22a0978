"""Renders the dbt project as Airflow tasks, with Cosmos: a task for each model, and one for each model's tests.

A test that reads several models has a task of its own.
"""

from __future__ import annotations

from airflow.sdk import TaskGroup
from cosmos import DbtTaskGroup, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import LoadMode, SourceRenderingBehavior, TestBehavior

from include.datasets import Dataset
from include.runs.month_of_run import DS, RUN_SCHEMA
from include.settings import DBT_MANIFEST, DBT_PROFILES, DBT_PROJECT
from include.transform import manifest
from include.transform.code_version import dbt_variables
from include.transform.operators import UNIT_TESTS, converters
from include.transform.task_docs import ManifestNodes


def dbt_task_group(group_id: str, dataset: Dataset, *, layers: list[str]) -> TaskGroup:
    """The dataset's models of these layers, each followed by its tests. A mart's outlet is its table's asset.

    The table of the dataset's months comes after every other mart, whether its SQL names that one or not. Raises
    SettingError where the dbt manifest is missing or damaged, or has no such model.
    """
    try:
        group = _rendered(group_id, dataset, layers)
    except Exception as error:
        if why := manifest.fault():
            raise manifest.unusable(why) from error
        raise
    if not group.children:
        raise manifest.unusable(f"holds no model of {', '.join(layers)} for {dataset.name}")
    if (months := f"{group_id}.{dataset.months_table}") in group.children:
        _put_last(months, group)
    return group


def _put_last(name: str, group: TaskGroup) -> None:
    """Makes this child of the group run after all others that do not depend on it."""
    last = group.children[name]
    for other in (leaf for child in group.children.values() if child is not last for leaf in child.leaves):
        for first in last.roots:
            if first.node_id not in other.get_flat_relative_ids(upstream=True) | other.downstream_task_ids:
                first.set_upstream(other)


def _rendered(group_id: str, dataset: Dataset, layers: list[str]) -> DbtTaskGroup:
    return DbtTaskGroup(
        group_id=group_id,
        project_config=ProjectConfig(
            dbt_project_path=DBT_PROJECT,
            manifest_path=DBT_MANIFEST,
            project_name="taxi",
            install_dbt_deps=False,
            dbt_vars={"ds": DS},
            env_vars={"PG_SCHEMA": dataset.published_schema(), "PG_RUN_SCHEMA": RUN_SCHEMA}
            | dbt_variables(dataset.models),
        ),
        profile_config=ProfileConfig(profile_name="taxi", target_name="postgres", profiles_yml_filepath=DBT_PROFILES),
        render_config=RenderConfig(
            load_method=LoadMode.DBT_MANIFEST,
            select=[f"path:models/{layer}/{dataset.models}" for layer in layers],
            exclude=[UNIT_TESTS],
            node_converters=converters(dataset, ManifestNodes(dataset)),
            node_conversion_by_task_group=False,
            test_behavior=TestBehavior.AFTER_EACH,
            # else a test of two models would run as soon as the first of them is there
            should_detach_multiple_parents_tests=True,
            source_rendering_behavior=SourceRenderingBehavior.ALL,
            # Cosmos would name assets by run schema, a new set each month; each mart declares its own instead
            emit_datasets=False,
        ),
    )
