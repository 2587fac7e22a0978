"""Sends a message through Airflow's own notifier for the connection that PIPELINE_NOTIFY names.

The type of the connection says which notifier: `smtp`, `slackwebhook` or `apprise`. So the setting holds no secret.
"""

from __future__ import annotations

import html
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from include.settings import NOTIFY, SettingError


@dataclass(frozen=True)
class Message:
    """`text`: lines. `section`: a heading of RUNBOOK.md. `link`: to the task in Airflow's UI; may be empty."""

    title: str
    text: str
    section: str
    link: str

    def lines(self) -> list[str]:
        where = [f"The task: {self.link}"] if self.link else []
        return [*self.text.splitlines(), f"What to do: RUNBOOK.md, {self.section}", *where]


class NotSent(Exception):
    """The notifier raised nothing, and yet the message was not sent."""


@dataclass(frozen=True)
class Notifier:
    """The class `name` in the `module` of `package`, what makes its `arguments`, and a context for the sending."""

    package: str
    module: str
    name: str
    arguments: Callable[[Connection, Message], dict[str, Any]]
    sending: Callable[[], AbstractContextManager[None]] = nullcontext


def _mail(connection: Connection, message: Message) -> dict[str, Any]:
    if not (to := connection.extra_dejson.get("to")):
        raise SettingError(
            f"The Airflow connection {connection.conn_id!r}, which {NOTIFY.name} names, does not say who gets the "
            'mail. Give it the extras "to" and "from_email": {"to": "oncall@example.com", "from_email": …}'
        )
    lines = [html.escape(line) for line in message.lines()]
    if message.link:
        lines[-1] = f'The task: <a href="{html.escape(message.link)}">{html.escape(message.link)}</a>'
    return {
        "smtp_conn_id": connection.conn_id,
        "to": to,
        "subject": message.title,
        "html_content": "<br>\n".join(lines),
        "auth_type": connection.extra_dejson.get("auth_type", "basic"),
    }


def _slack(connection: Connection, message: Message) -> dict[str, Any]:
    text = "\n".join([f"*{message.title}*", *message.lines()])
    # https://docs.slack.dev/messaging/formatting-message-text/#escaping
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"slack_webhook_conn_id": connection.conn_id, "text": escaped}


def _apprise(connection: Connection, message: Message) -> dict[str, Any]:
    body = "\n".join(message.lines())
    return {"apprise_conn_id": connection.conn_id, "title": message.title, "body": body, "notify_type": "warning"}


@contextmanager
def _raise_what_apprise_logs() -> Iterator[None]:
    """Raises NotSent where a service refused. Apprise returns that, which Airflow's notifier drops, and logs it."""
    with import_module("apprise").LogCapture(level=logging.WARNING) as said:
        yield
        if said.getvalue():
            raise NotSent("a service did not take the message: see what apprise logs")


PROVIDERS = "airflow.providers"
NOTIFIERS = {  # by the type of the connection
    "smtp": Notifier("apache-airflow-providers-smtp", f"{PROVIDERS}.smtp.notifications.smtp", "SmtpNotifier", _mail),
    "slackwebhook": Notifier(
        "apache-airflow-providers-slack",
        f"{PROVIDERS}.slack.notifications.slack_webhook",
        "SlackWebhookNotifier",
        _slack,
    ),
    "apprise": Notifier(
        "apache-airflow-providers-apprise",
        f"{PROVIDERS}.apprise.notifications.apprise",
        "AppriseNotifier",
        _apprise,
        _raise_what_apprise_logs,
    ),
}


def send(connection_id: str, message: Message) -> None:
    """Sends the message by the connection.

    Raises SettingError where the connection is not defined or is of another type, or where its provider is not
    installed; NotSent; and what the notifier raises.
    """
    try:
        connection = Connection.get(connection_id)
    except AirflowNotFoundException as error:
        raise SettingError(
            f"The Airflow connection {connection_id!r}, which {NOTIFY.name} names, is not defined. Add it under Admin "
            f"> Connections, or set AIRFLOW_CONN_{connection_id.upper()}."
        ) from error
    if (chosen := NOTIFIERS.get(connection.conn_type)) is None:
        raise SettingError(
            f"The Airflow connection {connection_id!r}, which {NOTIFY.name} names, is of type "
            f"{connection.conn_type!r}, and may be of {', '.join(NOTIFIERS)}."
        )
    try:
        notifier = getattr(import_module(chosen.module), chosen.name)
    except ImportError as error:
        raise SettingError(
            f"The Airflow connection {connection_id!r}, which {NOTIFY.name} names, is of type "
            f"{connection.conn_type!r}, which needs the package {chosen.package}: install it beside Airflow."
        ) from error
    # `notify`, as a call of the notifier would render the text, which holds values of files, as a Jinja template
    with chosen.sending():
        notifier(**chosen.arguments(connection, message)).notify({})
