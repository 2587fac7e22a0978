"""Measures what an idle stack takes: memory and CPU of all its processes, after some months have been loaded."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.cpu import POSTGRES, CpuMeter
from benchmarks.measures import Measure, spread
from benchmarks.stack import SMALL, stack
from dev.console import console
from dev.runs.backfill import months_between
from include.datasets import GREEN

MONTHS = months_between(GREEN, "2024-01", "2024-06")
SETTLES_SECONDS, LOOKS, LOOK_SECONDS = 90, 3, 60  # LocalExecutor's workers end after 60


def measure_rest(state: Path) -> list[Measure]:
    """Several looks at one stack, a minute apart. All DAGs are unpaused, as a new deployment has them.

    Memory is proportional: what processes share counts once. That of Postgres is shown beside the limit, as most of it
    is a cache whose size its operator chooses. CPU is of all, Postgres' too.
    """
    memory: list[Counter[str]] = []
    cpu: list[dict[str, float]] = []
    with stack(state, MONTHS, SMALL) as pipeline:
        pipeline.backfill(*map(str, MONTHS))
        for month in MONTHS:
            pipeline.wait_for_report(str(month))
        time.sleep(SETTLES_SECONDS)
        meter = CpuMeter(pipeline.stack)
        for _ in range(LOOKS):
            usage = meter.usage(lambda: time.sleep(LOOK_SECONDS))
            cpu.append({part: used / usage.wall for part, used in usage.parts.items()})
            memory.append(_mebibytes(meter))
            console.print(f"rest: {_without_postgres(memory[-1]):.0f} MiB, {sum(cpu[-1].values()):.3f} of a core")
            console.print(", ".join(f"{part} {size:.0f} MiB" for part, size in memory[-1].items()))
    return [
        Measure(
            "rest_mib",
            f"an idle stack after {len(MONTHS)} months: memory of all processes but Postgres'",
            [_without_postgres(look) for look in memory],
            "MiB",
            at_most=1200,
            details={part: f"{spread([look[part] for look in memory])} MiB" for part in memory[0]},
        ),
        Measure(
            "rest_cores",
            "the same: CPU of all processes, Postgres' too",
            [sum(look.values()) for look in cpu],
            "cores",
            at_most=0.1,
            details={part: f"{spread([look[part] for look in cpu])} of a core" for part in cpu[0]},
        ),
    ]


def _mebibytes(meter: CpuMeter) -> Counter[str]:
    """Proportional memory of each part, in MiB."""
    found: Counter[str] = Counter()
    for part, processes in meter.processes().items():
        sizes = []
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                sizes.append(process.memory_full_info().pss / 2**20)
        found[part] = sum(sizes)
    return found


def _without_postgres(look: Counter[str]) -> float:
    return sum(size for part, size in look.items() if part != POSTGRES)
