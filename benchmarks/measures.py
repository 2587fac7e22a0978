"""Shows what a benchmark found: on screen, in `results.md` and in `results.json`."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.table import Table

from dev.console import console

RESULTS = Path(__file__).parent
PACKAGES = ("apache-airflow", "astronomer-cosmos", "dbt-core", "dbt-postgres", "psycopg", "pyarrow")


@dataclass
class Measure:
    """One key of results.json: the figures of several runs; `at_most` or `at_least` is the limit of their median."""

    key: str
    what: str
    values: list[float]
    unit: str = "x"
    at_most: float | None = None
    at_least: float | None = None
    details: dict[str, str] = field(default_factory=dict)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def limit(self) -> str:
        if self.at_most is not None:
            return f"at most {self.at_most:g}"
        return f"at least {self.at_least:g}" if self.at_least is not None else ""

    @property
    def met(self) -> bool:
        above = self.at_most is not None and self.median > self.at_most
        below = self.at_least is not None and self.median < self.at_least
        return not (above or below)


def seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def spread(values: list[float]) -> str:
    """Median (least to most)."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def report(measures: list[Measure]) -> None:
    """Prints all, and writes them over those of the same key in results.json and results.md."""
    file = RESULTS / "results.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    known |= {
        each.key: asdict(each)
        | {"median": each.median, "limit": each.limit, "met": each.met, "measured": f"{datetime.now(UTC):%Y-%m-%d}"}
        for each in measures
    }
    file.write_text(json.dumps(known, indent=2) + "\n")
    table = Table("measure", "median (least to most)", "limit", "")
    for each in measures:
        table.add_row(each.what, f"{spread(each.values)} {each.unit}", each.limit, "" if each.met else "missed")
    console.print(table)
    (RESULTS / "results.md").write_text(_markdown(known))


def _markdown(known: dict[str, dict]) -> str:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    lines = [
        "# Results of `make bench`",
        "",
        f"{os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}; {versions}.",
        "Each figure is the median of several runs in turn (least to most).",
        "",
        "| measure | result | limit | | measured |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {each['what']} (`{key}`) | {spread(each['values'])} {each['unit']} | {each['limit']} "
        f"| {'' if each['met'] else 'missed'} | {each['measured']} |"
        for key, each in known.items()
    ]
    lines += ["", "## Their parts", "", "| measure | part | |", "| --- | --- | --- |"]
    lines += [f"| `{key}` | {part} | {text} |" for key, each in known.items() for part, text in each["details"].items()]
    return "\n".join(lines) + "\n"
