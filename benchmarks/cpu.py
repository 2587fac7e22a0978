"""Measures the CPU of a running stack by its parts. Nothing is sampled: the kernel's counts are read before and after.

The CPU of Postgres is split into metadata and warehouse only where the warehouse is a server of its own. In one server
the warehouse's sessions, many of which last for some 0.3 s, would have to be looked at again and again, and what they
use after the last look would not be counted.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

from dev.services.postgres import EmbeddedPostgres
from dev.stack.stack import Stack
from dev.system.process import BackgroundProcess
from tests.support.meanwhile import meanwhile

TASKS = "tasks and their workers"
CELERY = "Celery's main processes"
POSTGRES = "Postgres"
LOOK_SECONDS = 0.05  # a task takes several times as long, so that no two of a worker end between two looks


@dataclass(frozen=True)
class Usage:
    """What one action took: wall clock in seconds, and CPU seconds, user and system, by part of the stack.

    `besides`: CPU of this process and of the commands that it has run to their end. `machine`: CPU of all processes.
    """

    wall: float
    parts: dict[str, float]
    besides: float
    machine: float

    @property
    def total(self) -> float:
        """CPU seconds of all parts of the stack."""
        return sum(self.parts.values())


class CpuMeter:
    """Of a stack that is up, and until it is restarted: then a part that has ended raises psutil.NoSuchProcess.

    LocalExecutor's workers are children of the scheduler from its start on; each forks its tasks one by one. A Celery
    worker is a main process and its pool, whose children do the same. Workers and their tasks are one part.
    """

    def __init__(self, stack: Stack, warehouse: EmbeddedPostgres | None = None) -> None:
        """`warehouse`: the server that holds nothing else; None where the stack's own server holds it."""
        names = [record.stem for record in (stack.state / "run").glob("*.json")]
        found = {name: psutil.Process(BackgroundProcess(stack.state, name).pid()) for name in names}
        self._celery = [found.pop(name) for name in names if name.startswith("worker-")]
        self._local = [child for child in found["scheduler"].children() if "LocalExecutor" in " ".join(child.cmdline())]
        assert bool(self._celery) != bool(self._local)
        servers = {POSTGRES: stack.postgres}
        if warehouse:
            servers = {f"{POSTGRES}, metadata": stack.postgres, f"{POSTGRES}, warehouse": warehouse}
        self._parts = found | {name: postmaster(server) for name, server in servers.items()}

    def usage(self, action: Callable[[], object]) -> Usage:
        """What the action took, from its call to its return."""
        before, began = self._read(), time.perf_counter()
        action()
        wall = time.perf_counter() - began
        (parts, *after), (parts_before, *others_before) = self._read(), before
        besides, machine = (now - then for now, then in zip(after, others_before, strict=True))
        return Usage(wall, {name: parts[name] - parts_before[name] for name in parts}, besides, machine)

    @contextmanager
    def of_tasks(self) -> Iterator[list[float]]:
        """Yields the CPU seconds of each task that ends meanwhile under LocalExecutor, in its own process alone.

        A worker forks one task at a time, and the kernel adds what it has used to the worker's count when it has ended.
        """
        ended: list[float] = []
        last = {worker: _of_children(worker) for worker in self._local}

        def look() -> None:
            for worker in self._local:
                if (now := _of_children(worker)) > last[worker]:
                    ended.append(now - last[worker])
                    last[worker] = now

        with meanwhile(look, every=LOOK_SECONDS):
            yield ended
        look()

    def _read(self) -> tuple[dict[str, float], float, float]:
        parts = Counter({name: _tree(process) for name, process in self._parts.items()})
        for worker in self._local:
            used = _tree(worker)
            parts[TASKS] += used
            parts["scheduler"] -= used
        for worker in self._celery:
            times = worker.cpu_times()
            parts[CELERY] += times.user + times.system
            parts[TASKS] += _tree(worker) - times.user - times.system
        all_processes = psutil.cpu_times()
        busy = ("user", "nice", "system", "irq", "softirq")
        return dict(parts), sum(psutil.Process().cpu_times()[:4]), sum(getattr(all_processes, name) for name in busy)


def postmaster(server: EmbeddedPostgres) -> psutil.Process:
    return psutil.Process(int((server.home / "data" / "postmaster.pid").read_text().split()[0]))


def _of_children(process: psutil.Process) -> float:
    """CPU seconds of its children that have ended."""
    times = process.cpu_times()
    used: float = times.children_user + times.children_system
    return used


def _tree(process: psutil.Process) -> float:
    """CPU seconds of the process and of all its descendants, living and ended: the kernel adds what a child has used,
    and its own children with it, to its parent when it has ended."""
    found = 0.0
    for each in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            found += sum(each.cpu_times()[:4])  # user, system, and both of children that have ended
    return found
