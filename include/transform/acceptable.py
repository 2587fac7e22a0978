"""Knows the dbt project's audits, and which of them somebody may accept: those of what is plausible."""

from __future__ import annotations

from functools import lru_cache

import orjson

from include.settings import DBT_MANIFEST
from include.support.fingerprint import State, state_of


def audits_of(folder: str) -> dict[str, str | None]:
    """By name: the id of each data test of these models that may be accepted; None for each that may not.

    A test says `may_be_accepted` in the `meta` of its macro (dbt/tests/generic). Empty where the manifest is not whole.
    """
    try:
        return _of_present_manifest(state_of(DBT_MANIFEST), folder)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


# `written`: the manifest's state, for the cache
@lru_cache(maxsize=8)
def _of_present_manifest(written: State, folder: str) -> dict[str, str | None]:
    nodes = orjson.loads(DBT_MANIFEST.read_bytes())["nodes"].values()
    tests = [node for node in nodes if node["resource_type"] == "test" and folder in node["fqn"][2:3]]
    may = "may_be_accepted"
    return {test["name"]: test["unique_id"] if test["config"]["meta"].get(may) else None for test in tests}
