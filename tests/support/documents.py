"""What a document tells its reader to do, done."""

from __future__ import annotations

import re
from pathlib import Path

from include.settings import ROOT

FILE = re.compile(r"```\w+\n(?:#|--) file: (\S+?)(, at its end)?\n(.*?)```", re.DOTALL)
COMMANDS = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def write_files(text: str, project: Path) -> list[str]:
    """Writes the files that the text shows, in blocks whose first line names the file; their names."""
    blocks = FILE.findall(text)
    for name, at_its_end, content in blocks:
        file = project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text((file.read_text() if at_its_end else "") + content)
    return [name for name, _, _ in blocks]


def section(document: Path, heading: str) -> str:
    """The text between this heading, given with its two `#`s or more, and the next one of its level or above."""
    _, found, after = document.read_text().partition(f"\n{heading}\n")
    assert found, f"{document.name} has no heading {heading}"
    level = len(heading) - len(heading.lstrip("#"))
    return re.split(rf"^#{{2,{level}}} ", after, maxsplit=1, flags=re.MULTILINE)[0]


def shows(entry: str, produced: str) -> None:
    """Asserts that people who meet what a test has produced find the entry of RUNBOOK.md, by its heading, that helps.

    `produced`: a text that has words which the entry's symptom gives in backticks, where `…` stands for any; of a state
    that says nothing, the symptom's own words for it.
    """
    found = re.search(r"^\| Symptom \| (.*) \|$", section(ROOT / "RUNBOOK.md", f"## {entry}"), flags=re.MULTILINE)
    assert found, f"RUNBOOK.md, {entry}: it has no symptom"
    searched_for = [re.escape(words).replace("…", ".*") for words in re.findall(r"`([^`]+)`", found[1])]
    is_found = any(re.search(words, produced, flags=re.DOTALL) for words in searched_for)
    assert is_found or produced in found[1], f"RUNBOOK.md, {entry}: its symptom has no words of\n{produced}"


def commands(text: str) -> list[str]:
    """The lines of the text's blocks of commands."""
    return [line for block in COMMANDS.findall(text) for line in block.splitlines() if line]
