"""Values of rows stay out of the messages of errors, whatever transport of the client's own is set."""

from __future__ import annotations

import json
import traceback
from pathlib import Path

import pytest
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from openlineage.client.facet_v2 import error_message_run
from openlineage.client.uuid import generate_new_uuid

from include.openlineage.values import keep_values_in
from include.source.reader import FileContentError

pytestmark = pytest.mark.long  # they need what `make openlineage` installs

MESSAGE = "the file's column vendorid:\nrow 7 holds planted-value-77"


def failed(job: str) -> RunEvent:
    """The event as Airflow's provider makes it."""
    try:
        try:
            raise KeyError("planted-value-77")
        except KeyError as cause:
            raise FileContentError(MESSAGE) from cause
    except FileContentError as error:
        trace = "".join(traceback.format_exception(error))
    facet = error_message_run.ErrorMessageRunFacet(MESSAGE, "python", trace)
    run = Run(str(generate_new_uuid()), {"errorMessage": facet})
    return RunEvent(eventType=RunState.FAIL, eventTime="2024-01-01T00:00:00Z", run=run, job=Job("taxi", job))


@pytest.fixture
def sent(tmp_path: Path):
    keep_values_in()
    file = tmp_path / "events.json"

    def send(event: RunEvent) -> dict:
        OpenLineageClient(config={"transport": {"type": "file", "log_file_path": str(file), "append": True}}).emit(
            event
        )
        return json.loads(file.read_text().splitlines()[-1])["run"]["facets"]["errorMessage"]

    return send


def test_of_an_error_in_a_pipeline_the_class_alone_is_sent(sent):
    for job in ("taxi_pipeline.load_month", "taxi_report_yellow.write_reports"):
        facet = sent(failed(job))
        assert facet["message"] == "include.source.reader.FileContentError: the task's log says why"
        assert "planted-value-77" not in json.dumps(facet)


def test_another_dag_s_errors_are_sent_as_they_are(sent):
    facet = sent(failed("somebody_s_dag.task"))
    assert facet["message"] == MESSAGE
    assert "Traceback" in facet["stackTrace"]
