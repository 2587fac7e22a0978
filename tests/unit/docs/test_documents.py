"""What the documents name is there, and what they list is whole. `make lint` checks the links between them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dev import __main__ as dev
from include.__main__ import COMMANDS
from include.alerts import runbook
from include.alerts.runbook import Entry
from include.settings import DBT_MANIFEST, ROOT
from tests.support.documents import section, shows
from tests.support.trips import TRIPS

DOCUMENTS = {str(file.relative_to(ROOT)): file for file in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]}
# they also tell of what is no more, and of what a reader is to write
OF_OTHER_FILES = ("CHANGELOG.md", "docs/how-to/add-a-dataset.md")
MADE_BY_COMMANDS = ("dbt/manifest", "dbt/site", "dbt/target")
IN_BACKTICKS = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"(benchmarks|config|dags|dbt|deploy|dev|docs|include|profiles|tests)/[\w./-]*")
NAME_OF_FILE = re.compile(r"`(\w+)`\s(?:in\s|\()`(\w[\w/]+/\w+\.py)`")  # `month_of` (`include/runs/month_of_run.py`)
RUNBOOK = (ROOT / "RUNBOOK.md").read_text()
TESTS = {file: file.read_text() for file in ROOT.glob("tests/*/**/*.py")}


def in_backticks(file: Path) -> list[str]:
    return IN_BACKTICKS.findall(file.read_text())


@pytest.mark.parametrize("name", sorted(name for name in DOCUMENTS if not name.startswith(OF_OTHER_FILES)))
def test_the_files_that_a_document_names_are_there(name: str):
    named = {found for found in in_backticks(DOCUMENTS[name]) if FILE.fullmatch(found)}
    assert {found for found in named if not found.startswith(MADE_BY_COMMANDS) and not (ROOT / found).exists()} == set()


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_the_tests_that_a_document_names_are_there(name: str):
    code, files = "\n".join(TESTS.values()), {file.name for file in TESTS}
    named = {found.rstrip("…") for found in in_backticks(DOCUMENTS[name]) if re.fullmatch(r"test_\w+(\.py|…)?", found)}
    assert {found for found in named if found not in files and f"def {found}" not in code} == set()


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_a_file_has_the_function_or_class_that_a_document_names_with_it(name: str):
    named = set(NAME_OF_FILE.findall(DOCUMENTS[name].read_text()))
    defined = r"^ *(?:async )?(?:def|class) {0}\b|^{0}\b.* = "
    assert {
        (found, file)
        for found, file in named
        if not re.search(defined.format(found), (ROOT / file).read_text(), flags=re.MULTILINE)
    } == set()


def test_the_tree_of_readme_has_a_line_for_every_package_and_no_other():
    tree = section(ROOT / "README.md", "## The tree")
    lines = re.findall(r"^( *)([\w/]+)/ ", tree, flags=re.MULTILINE)
    folders = [folder for indent, folder in lines if not indent]
    assert {"dags", "dbt", "deploy", "docs", "include", "plugins", "tests"} <= set(folders)
    for top in ("include", "dev", "tests"):
        below = re.search(rf"^{top}/ .*\n((?: .*\n)*)", tree, flags=re.MULTILINE)
        named = re.findall(r"^  ([\w/]+)/ ", below[1], flags=re.MULTILINE) if below else []
        there = {file.relative_to(ROOT / top).parts[0] for file in ROOT.glob(f"{top}/*/**/*.py")}
        assert sorted(named) == sorted(there), top
    assert [each for each in folders if not (ROOT / each).is_dir()] == []
    macros = {folder.name for folder in (ROOT / "dbt" / "macros").iterdir() if folder.is_dir()}
    assert macros <= set(re.findall(r"^  macros/(\w+)/ ", tree, flags=re.MULTILINE))


def test_the_reference_lists_every_command_and_every_published_table():
    listed = (ROOT / "docs" / "reference" / "commands.md").read_text()
    assert [each for each in dev.COMMANDS if f"| `make {each}` |" not in listed] == []
    assert [each.__name__ for each in COMMANDS if f"| `python -m include {each.__name__}` |" not in listed] == []
    tables = (ROOT / "docs" / "reference" / "published-tables.md").read_text()
    marts = [file.stem for file in (ROOT / "dbt" / "models" / "marts").glob("**/*.sql")]
    assert len(marts) >= 5
    assert [each for each in marts if f"| `{each}` |" not in tables] == []


@pytest.mark.parametrize("models", {dataset.models for dataset in TRIPS.values()})
def test_the_runbook_has_a_row_for_each_bound_of_a_month_s_figures(models: str):
    rows = set()
    for node in json.loads(DBT_MANIFEST.read_text())["nodes"].values():
        if (node.get("test_metadata") or {}).get("name") == "figure_within" and node["fqn"][2] == models:
            says = node["test_metadata"]["kwargs"]
            words = (("at_least", "at least"), ("at_most", "at most"))
            bounds = " and ".join(f"{word} {says[bound]}" for bound, word in words if bound in says)
            figure = node["column_name"].replace("_", " ")
            [real] = re.findall(r"Real months have (.*) \(\d{4}-\d\d-\d\d\)\.$", node["description"].strip())
            rows.add(f"| `{node['name']}` | {figure}: {bounds} | {real} | {says['means']} |")
    table = RUNBOOK.partition("| audit | bound | real months | what it means |\n")[2].partition("\n\n")[0]
    assert len(rows) > 30
    assert set(table.splitlines()[1:]) == rows


def test_the_symptom_of_every_entry_of_the_runbook_is_produced_by_a_test():
    """By one that calls `shows` with it: with the heading, or an entry of include/alerts/runbook.py."""
    headings = set(re.findall(r"^## (.*)\n\n\| \| \|\n\| --- \| --- \|\n\| Symptom", RUNBOOK, flags=re.MULTILINE))
    assert len(headings) > 20
    entries = {name: each.heading for name, each in vars(runbook).items() if isinstance(each, Entry)}
    told = set[str]()
    for code in (text for file, text in TESTS.items() if file != Path(__file__)):
        told |= set(re.findall(r'shows\(\s*"(.+?)"', code))
        told |= {entries[name] for name in re.findall(r"shows\((?:runbook\.)?([A-Z_]+)\.heading", code)}
        if "shows(entry.heading" in code:  # a parameter of the test, on a line of its own or between two others
            told |= {heading for name, heading in entries.items() if re.search(rf"(^ +|, ){name},", code, re.MULTILINE)}
    assert headings - told == set()
    assert told <= headings


def test_words_that_a_symptom_or_the_product_lacks_are_found_out():
    entry, words = "`MonthError`: a run does not say its month, or says two", "is for …, and its configuration says …"
    shows(entry, words, "MonthError: it is for 1, and its configuration says 2")
    with pytest.raises(AssertionError, match="not in"):
        shows(entry, words, "MonthError: it is for 1")
    with pytest.raises(AssertionError, match="does not say"):
        shows(entry, "MonthError", "MonthError")
