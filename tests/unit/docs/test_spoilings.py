"""The page of spoilings is the catalogue. tests/warehouse/dbt/test_spoilings.py holds the catalogue to be true."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dev.tlc.sample_months import write_month
from include.datasets import GREEN, YELLOW, Dataset
from include.month import Month
from tests.support.spoilings.catalogue import SPOILINGS
from tests.support.spoilings.month_file import MonthFile
from tests.support.spoilings.page import DOCUMENT, TABLES, tables


def test_the_page_has_the_whole_catalogue():
    assert TABLES.findall(DOCUMENT.read_text()) == [tables()], "write it anew: python -m tests.support.spoilings.page"


def test_the_page_counts_the_spoilings():
    [counted] = re.findall(r"(\d+) ways", DOCUMENT.read_text())
    assert int(counted) == len(SPOILINGS)


def test_the_catalogue_says_why_a_month_is_missed():
    outcomes = [(each.name, expected) for each in SPOILINGS.values() for expected in (each.expected, each.on_sample)]
    assert [name for name, expected in outcomes if expected.outcome == "missed" and not expected.why] == []


# from 2026 on, generated green files have their times as text
@pytest.mark.parametrize(("dataset", "month"), [(GREEN, "2024-01"), (GREEN, "2026-01"), (YELLOW, "2024-01")])
def test_each_spoiling_makes_another_file_of_either_dataset_the_same_each_time(
    dataset: Dataset, month: str, tmp_path: Path
):
    other = YELLOW if dataset == GREEN else GREEN
    files = (
        write_month(tmp_path, month, dataset=dataset),
        write_month(tmp_path, "2023-12", dataset=dataset),
        write_month(tmp_path, month, dataset=other),
    )
    file = MonthFile(Month.parse(month), *map(pq.read_table, files))
    for spoiling in SPOILINGS.values():
        spoiled = spoiling.spoil(file)
        assert not spoiled.equals(file.rows), spoiling.name
        assert spoiled.equals(spoiling.spoil(file)), spoiling.name
