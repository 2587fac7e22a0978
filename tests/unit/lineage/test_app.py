"""What the page of the lineage is given, without a login. tests/stack/lineage asks the running one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fastapi import HTTPException

from include.datasets import GREEN, YELLOW
from include.lineage import app
from include.settings import ROOT
from tests.support.documents import shows

FOLDER = ROOT / "include" / "lineage"


def test_without_the_file_the_page_says_how_to_make_it(tmp_path: Path):
    says = r"404.*lineage\.json is missing. Make it: python -m include docs"
    with pytest.raises(HTTPException, match=says) as raised:
        app.lineage_of([GREEN], tmp_path / "lineage.json")
    shows("*Months*, *Lineage* or *dbt docs* shows no page", "lineage.json is missing", raised.value.detail)


@pytest.mark.parametrize(
    "text", ["", '{"datasets": {"gre', "[]", "{}", '{"datasets": []}', '{"datasets": {"green": {}}}']
)
def test_a_damaged_file_is_told_from_a_missing_one(text: str, tmp_path: Path):
    (file := tmp_path / "lineage.json").write_text(text)
    with pytest.raises(HTTPException, match=r"404.*lineage\.json is damaged. Make it: python -m include docs"):
        app.lineage_of([GREEN], file)


def test_a_dataset_that_the_file_lacks_has_no_tables(tmp_path: Path):
    (file := tmp_path / "lineage.json").write_text(json.dumps({"datasets": {"green": {"tables": {}}}}))
    assert app.lineage_of([YELLOW], file)["yellow"]["tables"] == {}


def test_the_page_loads_its_files_and_no_others():
    page = (FOLDER / "page.html").read_text()
    assert set(re.findall(r'(?:src|href)="([^"]*)"', page)) == {f"files/{name}" for name in app.FILES}
    for name in app.FILES:
        assert app.file(name).status_code == 200
    for name in ("page.html", "app.py", "../app.py"):
        with pytest.raises(HTTPException, match=f"404.*no file {re.escape(name)}"):
            app.file(name)


def test_the_page_is_not_kept_and_the_library_is_under_the_name_of_its_version():
    assert app.page().headers["cache-control"] == app.file("page.js").headers["cache-control"] == "no-store"
    [vendored] = (FOLDER / "vendor").glob("*.js")
    [version] = re.findall(r"^/\*! @dagrejs/dagre ([\d.]+),", vendored.read_text())
    assert vendored.name == f"dagre-{version}.min.js"
    assert app.file(vendored.name).headers["cache-control"] == "private, max-age=31536000, immutable"
    assert "MIT licence" in vendored.read_text()[:100]
    assert (FOLDER / "vendor" / "dagre.LICENSE.txt").exists()


def test_the_page_may_run_no_script_but_those_of_its_files():
    policy = app.page().headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
