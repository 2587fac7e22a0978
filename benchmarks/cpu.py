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
SCHEDULER = "scheduler"
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

    LocalExecutor's workers are children of the scheduler, which ends them after a rest and forks others; each forks its
    tasks one by one. A Celery worker is a main process and its pool, whose children do the same. Workers and their
    tasks are one part.
    """

    def __init__(self, stack: Stack, warehouse: EmbeddedPostgres | None = None) -> None:
        """`warehouse`: the server that holds nothing else; None where the stack's own server holds it."""
        names = [record.stem for record in (stack.state / "run").glob("*.json")]
        found = {name: psutil.Process(BackgroundProcess(stack.state, name).pid()) for name in names}
        self._celery = [found.pop(name) for name in names if name.startswith("worker-")]
        self._scheduler = None if self._celery else found.pop("scheduler")
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

    def processes(self) -> dict[str, list[psutil.Process]]:
        """The processes of each part that live now. Not for a stack of Celery's."""
        assert self._scheduler
        found = {name: [process, *process.children(recursive=True)] for name, process in self._parts.items()}
        workers = [each for worker in self._workers() for each in [worker, *worker.children(recursive=True)]]
        others = [each for each in self._scheduler.children(recursive=True) if each not in workers]
        return found | {SCHEDULER: [self._scheduler, *others], TASKS: workers}

    @contextmanager
    def of_tasks(self) -> Iterator[list[float]]:
        """Yields the CPU seconds of each task that ends meanwhile under LocalExecutor, in its own process alone.

        A worker forks one task at a time, and the kernel adds what it has used to the worker's count when it has ended.
        """
        ended: list[float] = []
        last = {worker: _of_children(worker) for worker in self._workers()}

        def look() -> None:
            for worker in self._workers():
                if (now := _of_children(worker)) > last.setdefault(worker, 0.0):
                    ended.append(now - last[worker])
                    last[worker] = now

        with meanwhile(look, every=LOOK_SECONDS):
            yield ended
        look()

    def _read(self) -> tuple[dict[str, float], float, float]:
        parts = Counter({name: _tree(process) for name, process in self._parts.items()})
        mains = {SCHEDULER: [self._scheduler]} if self._scheduler else {CELERY: self._celery}
        for part, processes in mains.items():
            for process in processes:
                times = process.cpu_times()
                parts[part] += times.user + times.system
                parts[TASKS] += _tree(process) - times.user - times.system
        all_processes = psutil.cpu_times()
        busy = ("user", "nice", "system", "irq", "softirq")
        return dict(parts), sum(psutil.Process().cpu_times()[:4]), sum(getattr(all_processes, name) for name in busy)

    def _workers(self) -> list[psutil.Process]:
        """LocalExecutor's workers that live now."""
        found = []
        for child in self._scheduler.children() if self._scheduler else []:
            with suppress(psutil.NoSuchProcess):  # it has just ended
                if "LocalExecutor" in " ".join(child.cmdline()):
                    found.append(child)
        return found


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
