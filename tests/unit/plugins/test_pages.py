"""The pages hold no address from the root of the host: Airflow may be below a path of it."""

from __future__ import annotations

import re

import pytest
from airflow.plugins_manager import AirflowPlugin

from include.settings import ROOT
from plugins.ledger import Ledger
from plugins.lineage import Lineage

# an attribute, an address asked for, or an entry of a form that begins with the host's root
FROM_THE_ROOT = re.compile(r"""(?:href|src|action)\s*[=:]\s*["'`]/|(?:fetch|open|assign|replace)\(\s*["'`]/""")


@pytest.mark.parametrize("plugin", [Ledger, Lineage])
def test_an_entry_of_the_navigation_is_below_the_ui(plugin: type[AirflowPlugin]):
    for view in plugin.external_views:
        assert re.match(rf"{plugin.name}/", view["href"])


@pytest.mark.parametrize("page", ["ledger/page.html", "lineage/page.html", "lineage/page.js", "report/page.html"])
def test_a_page_leads_to_what_is_beside_it(page: str):
    assert not FROM_THE_ROOT.findall((ROOT / "include" / page).read_text(encoding="utf-8"))
