"""The lineage of columns in Airflow's UI: in the navigation, and beside each pipeline's grid."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Imports the page at the first request: every Airflow process loads plugins, and one of them serves pages."""
    from include.lineage.app import app as lineage

    await lineage(scope, receive, send)


class Lineage(AirflowPlugin):
    """The page below `/lineage/`."""

    name = "lineage"
    fastapi_apps = [{"app": app, "url_prefix": "/lineage", "name": "Lineage"}]  # noqa: RUF012
    # Without a first slash: a browser takes them from the UI's own address, which may be below a path of its host.
    external_views = [  # noqa: RUF012
        {"name": "Lineage", "href": "lineage/", "destination": "nav", "url_route": "lineage"},
        {"name": "Lineage", "href": "lineage/?dag_id={DAG_ID}", "destination": "dag", "url_route": "lineage-of-dag"},
    ]
