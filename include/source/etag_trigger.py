"""Asks a source for the ETag and length of many files, gently, and without holding a worker's slot.

The triggerer imports this, so it imports neither Arrow nor dbt nor the database's driver.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

import requests
from airflow.triggers.base import BaseTrigger, TriggerEvent

from include.settings import SettingError
from include.source.address import Address
from include.source.base_url import address
from include.source.client import Answer, Client
from include.support.threads import begun_thread


class SourceNotAsked(Exception):
    """The source, or the triggerer that asks it, gave no answer for some months. The message says which and why."""


@dataclass(frozen=True)
class Pace:
    """How gently a source is asked. Times in seconds.

    With 0.2 s between two requests, 300 files take a minute, if each is answered within 0.8 s. TLC's CDN does not say
    how many it allows; beyond that it answers 429 or 403.
    """

    at_once: int = 4
    between: float = 0.2
    tries: int = 5  # of one file
    first_pause: float = 1.0  # of all requests, after one was refused; doubled until one is answered
    longest_pause: float = 60.0
    pauses: int = 8  # in a row without an answer: some 3 minutes
    most: float = 600.0  # for all files


GENTLY = Pace()
ADDRESS_SECONDS = 60.0
# The trigger fires after this time at the earliest. If a deferred task is resumed before the executor has reported that
# its process ended, Airflow 3.3.2 takes the task for killed: it tries it again, and the log of the first try cannot be
# read any more (https://github.com/apache/airflow/issues/72716, where 3 s passed; seen here once on a busy machine).
# The report may be late by `[workers] min_heartbeat_interval`, 2 s in config/airflow.cfg.
LEAST_SECONDS = 5.0


@dataclass
class Asked:
    """What was answered, by the names of the files.

    `answers`: ETag and length in bytes, each None where the server gives none. `refused`: HTTP status 403, 404 or the
    like, though the server gave other files. `silent`: why there is no answer, for any other reason.
    """

    answers: dict[str, tuple[str | None, int | None]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    silent: dict[str, str] = field(default_factory=dict)


async def ask(base: Address, paths: Mapping[str, str], pace: Pace = GENTLY) -> Asked:
    """Sends HEAD for each path below the address, at most `pace.at_once` at a time.

    Takes `pace.most` and one request's time at most. Raises SettingError for certificates that are not there.
    """
    asked = Asked()
    with Client(base) as client:
        asking, waiting = _Asking(client, pace, asked), iter(paths.items())

        async def ask_the_next() -> None:
            for name, path in waiting:
                await asking.ask(name, base.below(path))

        await asyncio.gather(*(ask_the_next() for _ in range(pace.at_once)))
    if not asked.answers:  # it refuses them all
        asked.silent |= asked.refused
        asked.refused = {}
    return asked


class _Asking:
    """Requests that keep one pace together."""

    def __init__(self, client: Client, pace: Pace, asked: Asked) -> None:
        self.client, self.pace, self.asked = client, pace, asked
        self.next_at = time.monotonic()
        self.ends_at = self.next_at + pace.most
        self.pause, self.pauses, self.given_up = pace.first_pause, 0, ""

    async def ask(self, name: str, address: Address) -> None:
        why, refused = "", False
        for _ in range(self.pace.tries):
            await self._turn()
            if self.given_up:
                break
            began = time.monotonic()
            try:
                # a thread of its own: those of the triggerer's loop are few, and for all its triggers
                answer = await asyncio.wrap_future(begun_thread("source", partial(self.client.head, address)))
            except requests.RequestException as error:
                why, refused = f"{type(error).__name__}: {error}".strip(": "), False
                self._back_off(began)
                continue
            is_busy = answer.status == 429 or answer.status >= 500
            why, refused = f"HTTP {answer.status}", 400 <= answer.status < 500 and not is_busy
            if 200 <= answer.status < 300:
                self.pause, self.pauses = self.pace.first_pause, 0
                self.asked.answers[name] = answer.etag, answer.length
                return
            if not (is_busy or refused):
                break  # asking again would not help
            self._back_off(began, _asks_to_wait(answer))
        if refused and not self.given_up:
            self.asked.refused[name] = why
        else:
            self.asked.silent[name] = ", ".join(filter(None, [why, self.given_up]))

    async def _turn(self) -> None:
        """Waits until the next request may be sent."""
        while not self.given_up and (wait := self.next_at - time.monotonic()) > 0:
            await asyncio.sleep(min(wait, 1.0))
        self.next_at = time.monotonic() + self.pace.between
        if time.monotonic() > self.ends_at:
            self.given_up = f"not asked further after {self.pace.most:.0f} s"

    def _back_off(self, began: float, wait: float | None = None) -> None:
        """Lets no request be sent for a while. Requests that were refused at the same time count as one."""
        now = time.monotonic()
        if wait is not None and now + wait > self.ends_at:
            self.given_up = f"not asked further, as the source asks to wait {wait:.0f} s"
        if began < self.next_at - self.pause and wait is None:
            return
        self.pauses += 1
        if self.pauses > self.pace.pauses:
            self.given_up = f"not asked further after {self.pace.pauses} pauses without an answer"
        self.next_at = max(self.next_at, now + (self.pause if wait is None else wait))
        self.pause = min(2 * self.pause, self.pace.longest_pause)


def _asks_to_wait(answer: Answer) -> float | None:
    """Retry-After, in seconds; None where there is none, or it cannot be read."""
    text = answer.retry_after or ""
    if text.isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (at.astimezone(UTC) - datetime.now(UTC)).total_seconds())


def digest(address: Address) -> str:
    """A digest of the address without what is secret in it, which could else be guessed and tried."""
    return hashlib.sha256(address.shown.encode()).hexdigest()[:16]


class AskSource(BaseTrigger):
    """Asks for files below an address, and fires once, with the fields of `Asked`, or with `fault`, a text.

    `paths`: the files below the address, by name. The address is the Airflow variable's value, else `otherwise`, and
    is read here anew: Airflow's database has its digest alone. A triggerer that has another address than the worker is
    a fault. A triggerer that takes this over asks again, which changes nothing.
    """

    def __init__(self, variable: str, otherwise: str, address_digest: str, paths: dict[str, str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.variable, self.otherwise, self.address_digest, self.paths = variable, otherwise, address_digest, paths

    def serialize(self) -> tuple[str, dict[str, Any]]:
        names = ("variable", "otherwise", "address_digest", "paths")
        return "include.source.etag_trigger.AskSource", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        await asyncio.sleep(LEAST_SECONDS)
        try:
            base = await self._address()
            if base is None:
                name = f"{self.variable} (or AIRFLOW_VAR_{self.variable.upper()})"
                yield _event(fault=f"the triggerer has another {name} than the worker")
                return
            asked = await ask(base, self.paths)
        except SettingError as error:
            yield _event(fault=f"in the triggerer, {str(error).rstrip('.')}")
            return
        yield _event(answers=asked.answers, refused=asked.refused, silent=asked.silent)

    async def _address(self) -> Address | None:
        """The address; None if, for ADDRESS_SECONDS, it is not the one that the worker had.

        While Airflow's server does not answer, it seems that the variable is not set.
        """
        deadline = time.monotonic() + ADDRESS_SECONDS
        while digest(found := await asyncio.to_thread(address, self.variable, self.otherwise)) != self.address_digest:
            if time.monotonic() > deadline:
                return None
            await asyncio.sleep(5)
        return found


def _event(**payload: Any) -> TriggerEvent:
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]
