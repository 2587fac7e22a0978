"""What a terminal's encoding lacks is printed in plainer characters; no command fails of it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from dev.runs.ledger_table import PINNED, SIGNS
from include.settings import ROOT

SAID = "".join(sign for sign, _ in SIGNS.values()) + PINNED + "é “日”"
PRINTED = {
    "ascii": 'vxo>~#.+e "?"',
    "latin-1": 'vxo>~#·+é "?"',
    "utf-8": SAID,
}
AT_ONCE = f"from dev.console import console; print({SAID!r}); console.print({SAID!r}); raise SystemExit({SAID!r})"


@pytest.mark.parametrize("encoding", PRINTED)
def test_each_encoding_gets_what_it_can_show(encoding: str):
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", AT_ONCE], cwd=ROOT, env=environment, capture_output=True)
    assert done.stdout.decode(encoding).splitlines() == [PRINTED[encoding]] * 2
    assert done.stderr.decode(encoding).splitlines() == [PRINTED[encoding]]


def test_the_ledgers_signs_stay_different():
    assert len(set(PRINTED["ascii"][: len(SIGNS) + 1])) == len(SIGNS) + 1
