"""The pages hold no address from the root of the host: Airflow may be below a path of it."""

from __future__ import annotations

import re

import pytest

from include.settings import ROOT
from plugins.ledger import Ledger

# an attribute, an address asked for, or an entry of a form that begins with the host's root
FROM_THE_ROOT = re.compile(r"""(?:href|src|action)\s*[=:]\s*["'`]/|(?:fetch|open|assign|replace)\(\s*["'`]/""")


@pytest.mark.parametrize("view", Ledger.external_views, ids=lambda view: view["url_route"])
def test_an_entry_of_the_navigation_is_below_the_ui(view: dict[str, str]):
    assert re.match(r"ledger/", view["href"])


@pytest.mark.parametrize("page", ["include/ledger/page.html", "include/report/page.html"])
def test_a_page_leads_to_what_is_beside_it(page: str):
    assert not FROM_THE_ROOT.findall((ROOT / page).read_text(encoding="utf-8"))
