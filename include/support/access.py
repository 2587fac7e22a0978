"""Who may see what on the project's own pages, which Airflow does not protect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import requires_authenticated
from fastapi import Depends, FastAPI

from include.datasets import DATASETS, Dataset, dataset_of

NO_STORE = {"Cache-Control": "no-store"}  # else a browser would show pages after a logout


def app_behind_login(title: str) -> FastAPI:
    """An app whose every page asks for Airflow's login."""
    # FastAPI's own pages would answer anyone.
    return FastAPI(
        title=title, docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(requires_authenticated())]
    )


def readable(user: Any, dag_id: str | None = None) -> Iterator[Dataset]:
    """The datasets whose runs the user may read. `dag_id`: only the dataset of this DAG."""
    asked = DATASETS.values() if dag_id is None else filter(None, [dataset_of(dag_id)])
    return (dataset for dataset in asked if may("GET", dataset, user))


def may(method: Any, dataset: Dataset, user: Any) -> bool:
    """Whether the user may GET the dataset's runs, or POST a backfill of them."""
    return get_auth_manager().is_authorized_dag(
        method=method, access_entity=DagAccessEntity.RUN, details=DagDetails(id=dataset.dag_id), user=user
    )
