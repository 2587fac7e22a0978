"""Hands dbt's lines to the task's log, and finds the nodes that failed."""

from __future__ import annotations

import logging
import re
import sys
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cosmos.exceptions import CosmosDbtRunError

if TYPE_CHECKING:  # every process that decides on retries loads this module
    from dbt.cli.main import dbtRunnerResult

log = logging.getLogger(__name__)

LEVELS = {"info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
# lines that are the same at the start of every task: versions, counts of nodes, threads, the hook
PREAMBLE = {
    *("MainReportVersion", "AdapterRegistered", "FoundStats", "ConcurrencyLine"),
    *("LogHookStartLine", "LogHookEndLine", "HooksRunning"),
}
# dbt puts it before the words of Postgres, or of a macro
KIND = re.compile(r"(Database|Compilation|Runtime) Error in [^\n]*\n\s*")
FAILED = {"error", "fail", "runtime error"}
# before the words of an audit's column `why` (dbt/macros/overrides/materialization_test_postgres.sql)
WHY = "  why: "
BROKEN_CONTRACT = "This model has an enforced contract that failed."


@dataclass(frozen=True)
class FailedNode:
    """A node of the dbt project that failed.

    `kind`: `test`, `model` or `operation`. `rows`: how many fail a test; None if the node could not be run. `words`:
    those of Postgres; or what the test guards against, and the first rows that fail it, a line each. `sqlstate`:
    Postgres' own; None where it gave none.
    """

    kind: str
    name: str
    rows: int | None
    words: str
    sqlstate: str | None = None

    def reason(self) -> str:
        """Why it failed, in a line: the audit's words, else its first row; a contract's columns; Postgres' words."""
        lines = self.words.splitlines()
        if self.rows is None:
            if BROKEN_CONTRACT in lines:
                return f"{self.name} is not what its contract says: {_columns_at_fault(lines)}"
            said = " ".join(line.strip() for line in lines if not line.strip().startswith(">"))  # dbt's list of macros
            return said or f"{self.name} failed"
        if why := next((line.removeprefix(WHY) for line in lines if line.startswith(WHY)), None):
            return f"{self.name}: {why}"
        rows = f"{self.rows} failing row{'' if self.rows == 1 else 's'}"
        return f"{self.name}: {rows}" + (f"; the first: {first[0].strip()}" if (first := self.first_rows()) else "")

    def first_rows(self) -> list[str]:
        """The first rows that fail the audit, a line each; empty for another node."""
        return [] if self.rows is None else [line for line in self.words.splitlines()[1:] if not line.startswith(WHY)]


class DbtFailed(CosmosDbtRunError):
    """A dbt command has failed; the text is dbt's. `nodes`: those that failed; empty where dbt ran none.

    `sqlstate`: Postgres' own, where dbt ran no node, as it failed before; None where it gave none.
    """

    def __init__(self, words: str, nodes: tuple[FailedNode, ...], sqlstate: str | None = None) -> None:
        super().__init__(words)
        self.nodes = nodes
        self.sqlstate = sqlstate


def _columns_at_fault(lines: list[str]) -> str:
    """From dbt's table of a contract's mismatches: column, its type in the model and in the contract, what is wrong."""
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines if line.count("|") == 5]
    return "; ".join(
        f"{column} is {made}, not {agreed}" if made and agreed else f"{column} ({made or agreed}) is {wrong}"
        for column, made, agreed, wrong in rows[2:]  # after the heading and its rule
    )


class DbtLog:
    """A callback of dbtRunner: writes dbt's lines to the task's log, with dbt's levels; the preamble with DEBUG.

    `target`: the folder that dbt writes into. It is gone when the task has ended, so no line names it.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._macros_said: dict[str, list[str]] = defaultdict(list)  # by the id of the node that ran the macro
        self._sqlstates: dict[str, str] = {}  # the last one, by the id of the node; "" for dbt's own work and hooks

    def __call__(self, event: Any) -> None:
        self._note_sqlstate(event)
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
        """The error that a task fails with. `words`: dbt's or Cosmos' text for the result."""
        nodes = tuple(
            FailedNode(
                str(each.node.resource_type),
                each.node.name,
                each.failures if each.status == "fail" else None,
                self._words_of(each),
                self._sqlstates.get(each.node.unique_id),
            )
            for each in getattr(result.result, "results", ())
            if each.status in FAILED
        )
        return DbtFailed(self._without_target(words), nodes, next(reversed(self._sqlstates.values()), None))

    def _note_sqlstate(self, event: Any) -> None:
        """dbt's own errors and events lack the SQLSTATE. Its adapter logs psycopg2's error while it handles it."""
        if state := getattr(sys.exception(), "pgcode", None):
            node = getattr(event.data, "node_info", None)
            self._sqlstates[node.unique_id if node else ""] = state

    def _words_of(self, result: Any) -> str:
        node, message = result.node, result.message
        return "\n".join(self._macros_said.get(node.unique_id, [])) or KIND.sub("", self._without_target(message))

    def _without_target(self, text: str) -> str:
        if self._target not in text:
            return text
        return "\n".join(line for line in text.splitlines() if self._target not in line)
