"""Keeps values of rows out of OpenLineage events: the message of an error may quote one, as `invalid input: "abc"`.

Only a process that sends events imports this module.
"""

from __future__ import annotations

import re
from typing import Any

from openlineage.client import transport as transports
from openlineage.client.facet_v2 import error_message_run

from include.datasets import dataset_of

# The last line of a traceback that is not indented begins with the class of the error.
CLASS = re.compile(r"^([\w.]+)(?=:|$)", re.MULTILINE)
HEADING = "Traceback (most recent call last):\n"
BUILT_IN = (
    transports.HttpTransport,
    transports.AsyncHttpTransport,
    transports.KafkaTransport,
    transports.FileTransport,
    transports.ConsoleTransport,
    transports.AmazonDataZoneTransport,
    transports.DatadogTransport,
    transports.GCPLineageTransport,
)


def keep_values_in() -> None:
    """Registers each of the client's own transports anew, so that it sends no message of an error of this project.

    The provider sends the message and the traceback of each error, and has no setting for it. A listener cannot change
    what another one is given.
    """
    for each in BUILT_IN:
        transports.register_transport(type(each.__name__, (each,), {"emit": _emit(each)}))


def _emit(transport: type[Any]) -> Any:
    def emit(self: Any, event: Any) -> Any:
        return transport.emit(self, without_values(event))

    return emit


def without_values(event: Any) -> Any:
    """The event with the class of the error alone, if a pipeline of this project has sent it."""
    facets = getattr(getattr(event, "run", None), "facets", None) or {}
    error = facets.get("errorMessage")
    if error and error.stackTrace and dataset_of(event.job.name.partition(".")[0]):
        last = error.stackTrace.rpartition(HEADING)[2]
        found = CLASS.search(last)
        name = found[1] if found else "an error"
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(f"{name}: the task's log says why", "python")
    return event
