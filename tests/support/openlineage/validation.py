"""Checks OpenLineage's events by the classes of openlineage-python, which are made from OpenLineage's JSON schemas.

No package has the schemas themselves. Where OPENLINEAGE_SPEC names the folder `spec` of a copy of OpenLineage's
repository, events are checked by them too.
"""

from __future__ import annotations

import inspect
import json
import os
import pkgutil
import types
import typing
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

import attr
from jsonschema import Draft202012Validator
from openlineage.client import generated
from openlineage.client.generated.base import DatasetFacet, InputDatasetFacet, JobFacet, OutputDatasetFacet, RunFacet
from referencing import Registry, Resource

# Facets of their own, by their prefixes, as OpenLineage wants it: https://openlineage.io/docs/spec/facets/custom-facets
OWN = ("airflow", "dbt_", "unknownSourceAttribute")
OF_PLACES = {"run": RunFacet, "job": JobFacet}
OF_DATASETS = {"facets": DatasetFacet, "inputFacets": InputDatasetFacet, "outputFacets": OutputDatasetFacet}
SPEC = os.environ.get("OPENLINEAGE_SPEC")
CORE = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"


def faults(event: dict[str, Any]) -> list[str]:
    """What an event, or one of its facets, lacks or has of another type."""
    found = [f"event: {what}" for what in _of_event(event)]
    for place, name, facet, base in _facets(event):
        known = _classes().get(facet["_schemaURL"].rpartition("/")[2])
        if known is None and not name.startswith(OWN):
            found.append(f"{place}.{name}: openlineage-python has no class of {facet['_schemaURL']}")
        found += [f"{place}.{name}{what}" for what in _of_class(facet, known or base)]
    return found + (list(_by_schemas(event)) if SPEC else [])


@cache
def _classes() -> dict[str, type]:
    modules = [import_module(f"{generated.__name__}.{each.name}") for each in pkgutil.iter_modules(generated.__path__)]
    classes = [each for module in modules for _, each in inspect.getmembers(module, attr.has)]
    return {each.__name__: each for each in classes if each.__name__.endswith("Facet")}


def _of_event(event: dict[str, Any]) -> Iterator[str]:
    wanted = {"eventTime", "eventType", "producer", "schemaURL", "run", "job"}
    if missing := wanted - event.keys():
        yield f"lacks {', '.join(sorted(missing))}"
        return
    if event["eventType"] not in ("START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"):
        yield f"is of type {event['eventType']}"
    if datetime.fromisoformat(event["eventTime"]).tzinfo is None:
        yield "has a time without a zone"
    UUID(event["run"]["runId"])
    for each in (event["job"], *event.get("inputs", ()), *event.get("outputs", ())):
        if not (each.get("namespace") and each.get("name")):
            yield f"names no namespace or no name: {each}"


def _facets(event: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], type]]:
    """Place, name, facet, and the class that each facet of its kind derives from."""
    for place, base in OF_PLACES.items():
        yield from ((place, name, facet, base) for name, facet in event[place].get("facets", {}).items())
    for place in ("inputs", "outputs"):
        for dataset in event.get(place, ()):
            for kind, base in OF_DATASETS.items():
                yield from ((place, name, facet, base) for name, facet in dataset.get(kind, {}).items())


def _of_class(value: Any, wanted: type) -> Iterator[str]:
    """What fields the value lacks, or has of another type. It may have others, as most schemas allow."""
    fields, hints = attr.fields_dict(wanted), typing.get_type_hints(wanted)
    known = {name.lstrip("_"): name for name in fields}
    for name, field in fields.items():
        if field.default is attr.NOTHING and name not in value and name.lstrip("_") not in value:
            yield f" lacks {name}"
    for name, each in value.items():
        if name.lstrip("_") in known:
            yield from (f".{name}{what}" for what in _of_hint(each, hints[known[name.lstrip("_")]]))


def _of_hint(value: Any, hint: Any) -> Iterator[str]:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        attempts = [list(_of_hint(value, part)) for part in parts]
        if all(attempts):
            yield from min(attempts, key=len)
    elif origin is list or origin is dict:
        if not isinstance(value, origin):
            yield f" is no {origin.__name__}: {value!r}"
            return
        for each in value.values() if isinstance(value, dict) else value:
            yield from _of_hint(each, parts[-1])
    elif attr.has(hint):
        yield from _of_class(value, hint) if isinstance(value, dict) else [f" is no {hint.__name__}: {value!r}"]
    elif isinstance(hint, type) and not isinstance(value, (hint, int) if hint is float else hint):
        yield f" is no {hint.__name__}: {value!r}"


def _by_schemas(event: dict[str, Any]) -> Iterator[str]:
    files = [*Path(str(SPEC)).glob("*.json"), *Path(str(SPEC)).glob("facets/*.json")]
    schemas = [json.loads(file.read_text()) for file in files]
    registry: Registry[Any] = Registry().with_resources(
        [(each["$id"], Resource.from_contents(each)) for each in schemas]
    )
    checked = [("event", event, CORE)]
    checked += [
        (f"{place}.{name}", facet, facet["_schemaURL"])
        for place, name, facet, _ in _facets(event)
        if facet["_schemaURL"].split("#")[0] in registry
    ]
    for place, value, url in checked:
        validator = Draft202012Validator(
            {"$ref": url}, registry=registry, format_checker=Draft202012Validator.FORMAT_CHECKER
        )
        yield from (f"{place}: {each.json_path}: {each.message[:300]}" for each in validator.iter_errors(value))
