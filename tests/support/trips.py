"""The datasets of TLC's trips, for tests about trips: those that run, and those that are declared."""

from __future__ import annotations

from include.datasets import DATASETS, GREEN, YELLOW, Dataset

DECLARED: dict[str, Dataset] = {each.name: each for each in (GREEN, YELLOW)}
TRIPS: dict[str, Dataset] = {each.name: each for each in DATASETS.values() if each.models == GREEN.models}
