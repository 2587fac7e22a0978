"""The page of the lineage: a FastAPI app that Airflow's api-server serves below `/lineage`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import HTTPException
from fastapi.responses import FileResponse, Response

from include.datasets import Dataset
from include.lineage.graph import read
from include.settings import DBT_LINEAGE
from include.support.access import NO_STORE, app_behind_login, readable

FOLDER = Path(__file__).parent
# The browser loads no other code, and no address but these. The page itself sets the places of the boxes, as styles.
POLICY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
}
# The version is in the name.
FOR_A_YEAR = {"Cache-Control": "private, max-age=31536000, immutable"}
FILES = {
    "page.css": (FOLDER / "page.css", NO_STORE),
    "page.js": (FOLDER / "page.js", NO_STORE),
    "dagre-3.1.3.min.js": (FOLDER / "vendor" / "dagre-3.1.3.min.js", FOR_A_YEAR),
}
MAKE_IT = "Make it: python -m include docs"

app = app_behind_login("Lineage")


@app.get("/")
def page() -> FileResponse:
    """The page. It gets what it shows from `tables`."""
    return FileResponse(FOLDER / "page.html", headers=NO_STORE | POLICY)


@app.get("/files/{name}")
def file(name: str) -> FileResponse:
    """What the page loads."""
    if name not in FILES:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"The page has no file {name}.")
    path, headers = FILES[name]
    return FileResponse(path, headers=headers)


@app.get("/tables")
def tables(user: GetUserDep, dag_id: str | None = None) -> Response:
    """The lineage of each dataset whose runs the user may read, by name, as JSON.

    A dataset has a `title`, the `dag_id` of its pipeline, and `tables` as include.lineage.graph describes them.
    `dag_id`: only the dataset of this DAG.
    """
    lineage = lineage_of(readable(user, dag_id))
    # FastAPI's own encoder takes eight times as long
    return Response(json.dumps(lineage), media_type="application/json", headers=NO_STORE)


def lineage_of(datasets: Iterable[Dataset], file: Path = DBT_LINEAGE) -> dict[str, dict[str, Any]]:
    """What `tables` answers. Raises HTTPException where the file is missing or damaged."""
    try:
        known = read(file)
        return {
            each.name: {"title": each.title, "dag_id": each.dag_id, "tables": known.get(each.name, {})}
            for each in datasets
        }
    except OSError:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"{file} is missing. {MAKE_IT}") from None
    except ValueError:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"{file} is damaged. {MAKE_IT}") from None
