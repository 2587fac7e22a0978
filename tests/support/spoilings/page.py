"""The catalogue of spoilings as tables in Markdown.

`python -m tests.support.spoilings.page` writes them anew into docs/explanation/spoilings.md.
"""

from __future__ import annotations

import re

from include.settings import ROOT
from tests.support.spoilings.catalogue import SPOILINGS
from tests.support.spoilings.expected import Expected, Spoiling

DOCUMENT = ROOT / "docs" / "explanation" / "spoilings.md"
TABLES = re.compile(r"(?<=<!-- tables -->\n).*(?=<!-- /tables -->)", re.DOTALL)


def tables() -> str:
    """A heading and a table for each kind, in the catalogue's order."""
    kinds = list(dict.fromkeys(each.kind for each in SPOILINGS.values()))
    return "\n" + "\n".join(_table(kind, [each for each in SPOILINGS.values() if each.kind == kind]) for kind in kinds)


def draw() -> None:
    """Replaces the tables in the document."""
    DOCUMENT.write_text(TABLES.sub(lambda _: tables(), DOCUMENT.read_text()))


def _table(kind: str, spoilings: list[Spoiling]) -> str:
    head = f"## {kind.capitalize()}\n\n| the file | the real month | a generated month |\n| --- | --- | --- |\n"
    return head + "".join(f"| {each.name} | {_words(each.expected)} | {_of_sample(each)} |\n" for each in spoilings)


def _of_sample(spoiling: Spoiling) -> str:
    return "the same" if spoiling.on_sample == spoiling.expected else _words(spoiling.on_sample)


def _words(expected: Expected) -> str:
    by = ", ".join(f"`{each}`" for each in expected.by)
    return ". ".join(filter(None, (f"**{expected.outcome}**" + (by and f": {by}"), expected.why)))


if __name__ == "__main__":
    draw()
