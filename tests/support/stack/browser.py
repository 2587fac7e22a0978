"""Airflow's UI in a real browser, as somebody who is logged in sees it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FrameLocator, Locator, Page, expect, sync_playwright

from include.settings import ROOT

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# Loopback alone; what a browser would look up beside the page is off. Chromium's sandbox does not work as root.
OPTIONS = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run")
PATIENCE_MS = 60_000
# `make images` has them written to docs/images
PICTURES = Path(os.environ.get("PICTURES") or ROOT / ".local" / "tests" / "images")


@dataclass
class AirflowInBrowser:
    """A page of the UI, logged in."""

    page: Page
    url: str
    pictures: Path

    @property
    def frame(self) -> FrameLocator:
        """What a plugin shows in the UI."""
        return self.page.frame_locator("iframe")

    def open(self, path: str) -> None:
        self.page.goto(f"{self.url}{path}")

    def log_in(self, user: str, password: str) -> None:
        self.open("/")
        self.page.locator("input[name=username]").fill(user)
        self.page.locator("input[name=password]").fill(password)
        self.page.keyboard.press("Enter")
        expect(self.page.get_by_role("link", name="Dags", exact=True)).to_be_visible()

    def log_in_by_cookie(self, token: str) -> None:
        """As the login page leaves it."""
        self.page.context.add_cookies([{"name": "_token", "value": token, "url": self.url}])
        self.open("/")

    def open_plugin(self, name: str) -> None:
        """By the navigation."""
        self.page.get_by_role("button", name="Plugins").click()
        self.page.get_by_role("menuitem", name=name).click()

    def square(self, dataset: str, month: str) -> Locator:
        """A month of the ledger."""
        return self.frame.locator(f'[data-key="{dataset} {month}"]')

    def on_top(self, kind: str, dataset: str, month: str) -> Locator:
        """The line of a month that needs a hand. The ledger is the page, not a plugin's frame."""
        return self.page.locator("#hand li").filter(
            has=self.page.locator(f'[data-key="hand {kind} {dataset} {month}"]')
        )

    def unfold(self, dataset: str) -> None:
        """Shows the years of the ledger that have no month."""
        folded = self.frame.locator(f'[data-key^="fold {dataset} "]')
        expect(self.frame.locator(f'[data-key^="{dataset} "]').first).to_be_visible()
        while folded.count():
            folded.first.click()

    def save_picture(self, name: str, of: Locator | None = None) -> None:
        """Of the page as it is seen, or of a part of it."""
        self.pictures.mkdir(parents=True, exist_ok=True)
        (of or self.page).screenshot(path=self.pictures / f"{name}.png", animations="disabled")

    def violations(self) -> str:
        """What axe finds wrong with the page for those who use a keyboard or a screen reader; empty: nothing."""
        found = Axe().run(self.page)
        return found.generate_report() if found.violations_count else ""


def program() -> str:
    """The browser's. Fails where there is none: the tests are not skipped."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    assert found, f"None of {', '.join(PROGRAMS)} is installed: run make browser"
    return found


@contextmanager
def launched() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=list(OPTIONS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def airflow_in_browser(browser: Browser, url: str, pictures: Path, *, dark: bool = False) -> Iterator[AirflowInBrowser]:
    """A fresh profile, not logged in yet."""
    context = browser.new_context(
        viewport={"width": 1400, "height": 900}, color_scheme="dark" if dark else "light", reduced_motion="reduce"
    )
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    try:
        yield AirflowInBrowser(context.new_page(), url, pictures)
    finally:
        context.close()
