"""A published month that another version of the SQL made is marked, with the models that are others now."""

from __future__ import annotations

from include.ledger.made_by import MadeBy
from include.transform.code_version import CodeVersion

PRESENT = CodeVersion("bbb", {"fct_trips": "2", "int_months": "1"}, {})
CODE = MadeBy(PRESENT, {"aaa": {"fct_trips": "1", "int_months": "1", "fct_old": "1"}})


def test_a_month_of_the_present_version_is_not_marked_and_one_of_another_is():
    assert CODE.of_month({"code_version": "bbb", "git_revision": "c0ffee"}) == {
        **{"code_version": "bbb", "git_revision": "c0ffee", "is_outdated": False, "changed_models": None}
    }
    older = CODE.of_month({"code_version": "aaa", "git_revision": None})
    assert (older["is_outdated"], older["changed_models"]) == (True, ["fct_old", "fct_trips"])


def test_a_month_made_before_versions_were_recorded_is_marked_and_nothing_is_said_of_its_models():
    for row in ({}, {"code_version": None, "git_revision": None}, {"code_version": "of another warehouse"}):
        found = CODE.of_month(row | {"source_month": "2024-01-01"})
        assert (found["is_outdated"], found["changed_models"]) == (True, None)


def test_a_month_that_is_not_published_and_any_without_a_manifest_is_not_marked():
    assert not CODE.of_month(None)["is_outdated"]
    assert not MadeBy(None, {}).of_month({"code_version": "aaa"})["is_outdated"]
