"""Measures the dbt tasks of loaded months by this checkout's code and by another revision's: two stacks, in turn."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.cpu import TASKS, CpuMeter, Usage
from benchmarks.measures import Measure, spread
from benchmarks.stack import SMALL, THREE_MONTHS, build_and_publish, pause_all_else, stack
from dev.console import console
from dev.stack.stack import Stack
from dev.system.process import inherited_environment
from include.settings import ROOT
from tests.support.stack.pipeline import Pipeline

ROUNDS = 4
OURS, THEIRS = "this checkout", "the other revision"


def measure_transform_against(revision: str, state: Path) -> list[Measure]:
    """Ratios of this checkout's figures to those of the git revision, round by round.

    Both stacks are up all the while, each with a Postgres of its own; the one that is not measured idles.
    """
    with stack(state / "ours", THREE_MONTHS, SMALL) as ours, _stack_of(revision, state, ours) as theirs:
        ours.backfill(*map(str, THREE_MONTHS))
        sides = {OURS: ours, THEIRS: theirs}
        for pipeline in sides.values():
            pause_all_else(pipeline)
        runs = {side: [pipeline.run_of(str(month)) for month in THREE_MONTHS] for side, pipeline in sides.items()}
        meters = {side: CpuMeter(pipeline.stack) for side, pipeline in sides.items()}
        three: dict[str, list[Usage]] = {side: [] for side in sides}
        task: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(ROUNDS + 1):  # the first round fills the caches of both
            for side, pipeline in sides.items():
                with meters[side].of_tasks() as seconds:
                    build_and_publish(pipeline, runs[side][:1])
                task[side].append(statistics.median(seconds))
                three[side].append(meters[side].usage(lambda side=side: build_and_publish(sides[side], runs[side])))
                last = three[side][-1]
                console.print(
                    f"{side}: three months {last.wall:.0f} s, {last.total:.0f} s of CPU; a task {task[side][-1]:.3f} s"
                )
    wall = {side: [usage.wall for usage in usages[1:]] for side, usages in three.items()}
    total = {side: [usage.total for usage in usages[1:]] for side, usages in three.items()}
    own = {side: seconds[1:] for side, seconds in task.items()}
    parts = {
        f"{part}, three months, {side}": f"CPU {spread([usage.parts[part] for usage in usages[1:]])} s"
        for side, usages in three.items()
        for part in (TASKS, *sorted(usages[0].parts.keys() - {TASKS}))
    }
    return [
        _ratio(
            "task_cpu_vs_before",
            f"CPU of a dbt task's own process, median over a month's tasks, {THEIRS}: {revision}",
            own,
            at_most=0.68,
        ),
        _ratio("transform3_cpu_vs_before", "CPU of all processes, dbt part of three months", total, details=parts),
        _ratio("transform3_vs_before", "wall clock, dbt part of three months side by side", wall),
    ]


def _ratio(
    key: str, what: str, found: dict[str, list[float]], details: dict[str, str] | None = None, **limit: float
) -> Measure:
    sides = {side: f"{spread(seconds)} s" for side, seconds in found.items()}
    ratios = [ours / theirs for ours, theirs in zip(found[OURS], found[THEIRS], strict=True)]
    return Measure(key, f"{what}: {OURS} / {THEIRS}", ratios, details=sides | (details or {}), **limit)


@contextmanager
def _stack_of(revision: str, state: Path, ours: Pipeline) -> Iterator[Pipeline]:
    """A checkout of the revision with a stack of its own, which has loaded the same months from the same source.

    It is driven by its own `make`, and measured by this checkout's code, which reads its state folder: where the files
    of that folder change, this cannot look back any further.
    """
    checkout = state / "theirs"
    _git("worktree", "add", "--detach", str(checkout), revision)
    try:
        _share_the_environment(checkout)
        _make(checkout, "up", TLC_BASE_URL=ours.tlc.url)
        _make(checkout, "backfill", FROM=str(THREE_MONTHS[0]), TO=str(THREE_MONTHS[-1]))
        yield Pipeline(Stack(checkout / ".local"), ours.tlc)
    finally:
        with suppress(subprocess.CalledProcessError):
            _make(checkout, "down")
        _git("worktree", "remove", "--force", str(checkout))


def _share_the_environment(checkout: Path) -> None:
    """Spares an installation where both revisions have the same packages. Else `make` installs the checkout's own."""
    lock = "dev/requirements.lock"
    if (checkout / lock).read_bytes() == (ROOT / lock).read_bytes():
        (checkout / ".local").mkdir()
        (checkout / ".local" / "venv").symlink_to(ROOT / ".local" / "venv")


def _make(checkout: Path, target: str, **variables: str) -> None:
    of_this_run = ("MAKE", "MFLAGS", "ARGS", "TLC_", "EXECUTOR")
    environment = {name: value for name, value in inherited_environment().items() if not name.startswith(of_this_run)}
    words = [shutil.which("make") or "make", "-C", str(checkout), "--no-print-directory", target]
    subprocess.run(words, env=environment | variables, check=True)


def _git(*words: str) -> None:
    git = shutil.which("git") or "git"
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    subprocess.run([git, "-C", str(ROOT), *words], env=own, check=True)
