from __future__ import annotations

import re

import pytest

from include.settings import ROOT
from include.support.counted import counted

# A number, then a plural that is written out: it is wrong where the number is 1.
PLURAL = re.compile(r"\} (months|rows|days|bytes|workers|runs|tasks|files|versions|tables|trips|slots|models|tests)\b")
ALLOWED = {
    "raw_tables.py": 'f"{rows} rows, {sum_of_hashes}"',  # a fingerprint that is stored: no text for people
    "json_columns.py": "{each[0]} months {each[1]} days",  # a value
    "sample_months.py": "{rows} rows have no room",  # fewer than are needed, which are hundreds
    "download.py": "{MAX_BYTES:,} bytes",
}


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 months"), (1, "1 month"), (2, "2 months"), (3456, "3,456 months"), (None, "an unknown number of months")],
)
def test_one_is_singular(number: int | None, text: str):
    assert counted(number, "month") == text


def test_no_message_writes_a_plural_behind_a_number_that_may_be_one():
    files = [file for folder in ("include", "dev", "dags", "plugins") for file in (ROOT / folder).rglob("*.py")]
    found = {
        f"{file.name}: {line.strip()}"
        for file in files
        for line in file.read_text(encoding="utf-8").splitlines()
        if PLURAL.search(line) and ALLOWED.get(file.name, "nothing") not in line
    }
    assert found == set()
