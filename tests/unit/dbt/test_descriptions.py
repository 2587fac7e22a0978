"""Every model, and every column that analysts read, says what it is."""

from __future__ import annotations

import json

from include.settings import DBT_MANIFEST

MODELS = [node for node in json.loads(DBT_MANIFEST.read_text())["nodes"].values() if node["resource_type"] == "model"]


def test_every_model_has_a_description():
    assert [model["name"] for model in MODELS if not model["description"]] == []


def test_every_column_that_is_listed_has_a_description_and_published_tables_list_all():
    columns = {(model["name"], name): each for model in MODELS for name, each in model["columns"].items()}
    assert [name for name, column in columns.items() if not column["description"].strip()] == []
    # contracts list them all: dbt refuses a published table with another column
    assert [model["name"] for model in MODELS if "marts" in model["fqn"] and not model["contract"]["enforced"]] == []
    assert len(columns) > len(MODELS)


def test_a_column_of_one_name_means_one_thing():
    """In the models of one folder. Those of several tables are described once, in dbt/models/columns.md.

    Sums of a day have their own.
    """
    told: dict[tuple[str, str], set[str]] = {}
    for model in MODELS:
        for name, column in model["columns"].items():
            if not model["name"].endswith("zone_days") and (model["name"], name) != (
                "int_trips_judged",
                "rejection_reason",
            ):
                told.setdefault((model["fqn"][2], name), set()).add(column["description"])
    assert {name: texts for name, texts in told.items() if len(texts) > 1} == {}
