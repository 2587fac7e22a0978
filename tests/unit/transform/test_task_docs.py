from __future__ import annotations

import pytest

from include.datasets import YELLOW
from include.transform.task_docs import ManifestNodes

MODEL = "model.taxi.fct_trips"


@pytest.mark.parametrize(
    ("base_url", "below"),
    [
        ("http://127.0.0.1:8080", ""),
        ("https://host/", ""),
        ("https://host/team", "/team"),
        ("https://host/team/", "/team"),
        ("https://host/a/b/", "/a/b"),
    ],
)
def test_a_task_s_text_leads_to_dbts_docs_and_the_lineage_below_airflows_path(
    base_url: str, below: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    text = ManifestNodes(YELLOW).doc_of_model(MODEL)
    assert f"]({below}/ledger/docs#!/model/{MODEL})" in text
    assert f"]({below}/plugin/lineage#yellow/fct_trips)" in text


def test_a_task_s_text_leads_to_the_lineage_of_tables_whose_columns_are_known():
    nodes = ManifestNodes(YELLOW)
    assert "/plugin/lineage#yellow/raw_trips)" in nodes.doc_of_tests("source.taxi.tlc.raw_trips")
    assert "/plugin/lineage#yellow/load_log)" in nodes.doc_of_tests("source.taxi.loader.load_log")
    assert "/plugin/lineage" not in nodes.doc_of_tests("source.taxi.loader.audit_log")
