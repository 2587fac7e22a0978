"""What dbt says while a task runs: its lines in the task's log, and what of it failed."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from cosmos.exceptions import CosmosDbtRunError
from dbt.cli.main import dbtRunnerResult

log = logging.getLogger(__name__)

LEVELS = {"info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
# the same at the start of every task: versions, what the project holds, threads, the hook
PREAMBLE = {
    *("MainReportVersion", "AdapterRegistered", "FoundStats", "ConcurrencyLine"),
    *("LogHookStartLine", "LogHookEndLine", "HooksRunning"),
}
# what dbt puts before the words of Postgres, or of a macro
KIND = re.compile(r"(Database|Compilation|Runtime) Error in [^\n]*\n\s*")
FAILED = {"error", "fail", "runtime error"}


@dataclass(frozen=True)
class FailedNode:
    """A node of the dbt project that failed.

    `kind`: `test`, `model` or `operation`. `rows`: how many fail a test; None of one that could not be run. `words`:
    Postgres' own, or of a test what it guards against and the first rows that fail it, a line each.
    """

    kind: str
    name: str
    rows: int | None
    words: str


class DbtFailed(CosmosDbtRunError):
    """A dbt command has failed, in dbt's words. `nodes`: which of it; none where dbt did not come so far."""

    def __init__(self, words: str, nodes: tuple[FailedNode, ...]) -> None:
        super().__init__(words)
        self.nodes = nodes


class DbtLog:
    """A callback of dbtRunner: hands dbt's lines on to the task's log, by its levels but for the preamble.

    `target`: the folder that dbt writes into. It is gone when the task has ended, so no line names it.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._macros_said: dict[str, list[str]] = defaultdict(list)  # by the id of the node that ran the macro

    def __call__(self, event: Any) -> None:
        level = LEVELS.get(event.info.level)
        if level is None:  # dbt's own details: hundreds
            return
        name = event.info.name
        text = self._without_target(event.info.msg)
        if name == "JinjaLogInfo":
            self._macros_said[event.data.node_info.unique_id].append(text)
        if text.strip():
            log.log(logging.DEBUG if name in PREAMBLE else level, "%s", text)

    def failure(self, words: str, result: dbtRunnerResult) -> DbtFailed:
        """What a task fails with, from how dbt ended and the words for it."""
        nodes = tuple(
            FailedNode(
                str(each.node.resource_type),
                each.node.name,
                each.failures if each.status == "fail" else None,
                self._words_of(each),
            )
            for each in getattr(result.result, "results", ())
            if each.status in FAILED
        )
        return DbtFailed(self._without_target(words), nodes)

    def _words_of(self, result: Any) -> str:
        node, message = result.node, result.message
        return "\n".join(self._macros_said.get(node.unique_id, [])) or KIND.sub("", self._without_target(message))

    def _without_target(self, text: str) -> str:
        if self._target not in text:
            return text
        return "\n".join(line for line in text.splitlines() if self._target not in line)
