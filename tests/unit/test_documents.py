"""What the documents name is there: files, tests, and links between them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from include.settings import ROOT

DOCUMENTS = {str(file.relative_to(ROOT)): file for file in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]}
# they also tell of what is no more, and of what a reader is to write
OF_OTHER_FILES = ("CHANGELOG.md", "docs/decisions", "docs/add-a-dataset.md")
MADE_BY_COMMANDS = ("dbt/manifest", "dbt/site", "dbt/target")
IN_BACKTICKS = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"(benchmarks|config|dags|dbt|deploy|dev|docs|include|profiles|tests)/[\w./-]*")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
TESTS = {file.name: file.read_text() for file in ROOT.glob("tests/*/*.py")}


def in_backticks(file: Path) -> list[str]:
    return IN_BACKTICKS.findall(file.read_text())


@pytest.mark.parametrize("name", sorted(name for name in DOCUMENTS if not name.startswith(OF_OTHER_FILES)))
def test_the_files_that_a_document_names_are_there(name: str):
    named = {found for found in in_backticks(DOCUMENTS[name]) if FILE.fullmatch(found)}
    assert {found for found in named if found not in MADE_BY_COMMANDS and not (ROOT / found).exists()} == set()


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_the_tests_that_a_document_names_are_there(name: str):
    code = "\n".join(TESTS.values())
    named = {found.rstrip("…") for found in in_backticks(DOCUMENTS[name]) if re.fullmatch(r"test_\w+(\.py|…)?", found)}
    assert {found for found in named if found not in TESTS and f"def {found}" not in code} == set()


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_the_links_of_a_document_lead_somewhere(name: str):
    file = DOCUMENTS[name]
    assert [link for link in LINK.findall(file.read_text()) if not (file.parent / link).exists()] == []
