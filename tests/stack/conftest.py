"""One running stack for all tests of this folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from dev.stack.stack import Stack
from dev.tlc.sample_months import write_zones
from include.settings import ROOT
from tests.support.stack.browser import PICTURES, AirflowInBrowser, airflow_in_browser, launched
from tests.support.stack.logins import login_of
from tests.support.stack.mailbox import Mailbox, mailbox
from tests.support.stack.pipeline import Pipeline, running_pipeline

STATE = ROOT / ".local" / "tests"


@pytest.fixture(scope="session")
def mails() -> Iterator[Mailbox]:
    """What the stack tells someone, by mail."""
    with mailbox() as box:
        yield box


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory, mails: Mailbox) -> Iterator[Pipeline]:
    """The whole stack, over a mirror that has the zones and no month yet."""
    state = STATE / f"stack-{os.getpid()}"
    folder = tmp_path_factory.mktemp("tlc")
    write_zones(folder)
    settings = {
        "PIPELINE_RETRY_SECONDS": "1",
        "PIPELINE_POLL_SECONDS": "10",
        "PIPELINE_NOTIFY": "oncall",
        "AIRFLOW_CONN_ONCALL": mails.connection(),
    }
    executor = os.environ.get("EXECUTOR") or "local"  # as `make` takes it
    with running_pipeline(Stack(state), folder, executor=executor, settings=settings) as pipeline:
        yield pipeline
    shutil.rmtree(state)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture
def airflow(browser: Browser, pipeline: Pipeline) -> Iterator[AirflowInBrowser]:
    with airflow_in_browser(browser, pipeline.stack.airflow.url, PICTURES) as airflow:
        airflow.log_in_by_cookie(login_of(pipeline.stack, "admin"))
        yield airflow
