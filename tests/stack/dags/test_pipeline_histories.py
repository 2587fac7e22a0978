"""Random histories on the whole stack: files put up, months run, tasks cleared and killed, all of it at once."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.support.stack.pipeline import Pipeline
from tests.support.stack.pipeline_histories import tell_a_history


@pytest.mark.long
def test_a_history_on_the_whole_stack_ends_in_the_tables_of_one_clean_load(pipeline: Pipeline, tmp_path: Path):
    tell_a_history(pipeline, tmp_path, random.Random(1))  # noqa: S311
