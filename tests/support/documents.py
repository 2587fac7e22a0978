"""What a document tells its reader to do, done."""

from __future__ import annotations

import re
from pathlib import Path

from include.settings import ROOT

FILE = re.compile(r"```\w+\n(?:#|--) file: (\S+?)(, at its end)?\n(.*?)```", re.DOTALL)
CHANGE = re.compile(r"```diff\n--- (\S+)\n(.*?)```", re.DOTALL)
COMMANDS = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def write_files(text: str, project: Path) -> list[str]:
    """Writes the files that the text shows, and makes the changes that it shows; the files' names.

    The first line of a block names its file. A change is a block `diff`: its lines without `+` stand in the file once,
    and become its lines without `-`.
    """
    blocks = FILE.findall(text)
    for name, at_its_end, content in blocks:
        file = project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text((file.read_text() if at_its_end else "") + content)
    changes = CHANGE.findall(text)
    for name, change in changes:
        lines = change.splitlines(keepends=True)
        old, new = ("".join(line[1:] for line in lines if line[0] != sign) for sign in "+-")
        content = (project / name).read_text()
        assert content.count(old) == 1, f"{name} has, {content.count(old)} times:\n{old}"
        (project / name).write_text(content.replace(old, new))
    return [name for name, *_ in (*blocks, *changes)]


def section(document: Path, heading: str) -> str:
    """The text between this heading, given with its two `#`s or more, and the next one of its level or above."""
    _, found, after = document.read_text().partition(f"\n{heading}\n")
    assert found, f"{document.name} has no heading {heading}"
    level = len(heading) - len(heading.lstrip("#"))
    return re.split(rf"^#{{2,{level}}} ", after, maxsplit=1, flags=re.MULTILINE)[0]


def shows(entry: str, words: str, produced: str | None = None) -> None:
    """Asserts that these words stand in the symptom of RUNBOOK.md's entry, and in what a test has produced.

    `entry`: its heading. `…` stands for any text. `produced`: None for a state that the test has seen, and that has no
    words of its own.
    """
    found = re.search(r"^\| Symptom \| (.*) \|$", section(ROOT / "RUNBOOK.md", f"## {entry}"), flags=re.MULTILINE)
    assert found, f"RUNBOOK.md, {entry}: it has no symptom"
    assert words in found[1], f"RUNBOOK.md, {entry}: its symptom does not say {words}"
    assert produced is None or re.search(re.escape(words).replace("…", ".*"), produced), f"{words}: not in\n{produced}"


def commands(text: str) -> list[str]:
    """The lines of the text's blocks of commands."""
    return [line for block in COMMANDS.findall(text) for line in block.splitlines() if line]
