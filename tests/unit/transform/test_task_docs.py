from __future__ import annotations

import pytest

from include.transform.task_docs import ManifestNodes

MODEL = "model.taxi.fct_trips"


@pytest.mark.parametrize(
    ("base_url", "page"),
    [
        ("http://127.0.0.1:8080", "/ledger/docs"),
        ("https://host/", "/ledger/docs"),
        ("https://host/team", "/team/ledger/docs"),
        ("https://host/team/", "/team/ledger/docs"),
        ("https://host/a/b/", "/a/b/ledger/docs"),
    ],
)
def test_a_task_s_text_leads_to_dbts_docs_below_airflows_path(
    base_url: str, page: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    assert f"]({page}#!/model/{MODEL})" in ManifestNodes().doc_of_model(MODEL)
