"""The documents outside `docs` are pages of the site too: mkdocs checks their links, and the links to them."""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
# The page of each. In lower case: mkdocs takes any README.md for the first page of its folder.
PAGES = {
    "README.md": "readme.md",
    "RUNBOOK.md": "runbook.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/results.md": "results.md",
}
PLACES = {page: place for place, page in PAGES.items()}
TARGET = re.compile(r"(?<=\]\()[\w./-]+(?=[)#])")


def on_startup(**_: object) -> None:
    # not `--quiet`, which silences the warnings too: `strict` then sees none
    logging.getLogger("mkdocs").setLevel(logging.WARNING)


def on_files(files: Files, config: MkDocsConfig) -> None:
    for place, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / place)))


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Links as they are in the repository become links between pages."""
    own = page.file.src_uri
    place = posixpath.dirname(PLACES.get(own, f"docs/{own}"))

    def between_pages(target: re.Match[str]) -> str:
        leads_to = posixpath.normpath(posixpath.join(place, target[0]))
        to_page = PAGES.get(leads_to, leads_to.removeprefix("docs/"))
        return posixpath.relpath(to_page, posixpath.dirname(own) or ".")

    return TARGET.sub(between_pages, markdown)
