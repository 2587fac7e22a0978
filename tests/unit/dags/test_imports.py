"""What the DAG files import: the DAG processor, the scheduler and each worker hold it in memory."""

from __future__ import annotations

import subprocess
import sys

from include.settings import ROOT

# In MiB of each process: dbt 52, pandas 26, matplotlib 21. Only tasks use them.
HEAVY = ("dbt", "pandas", "matplotlib")
PROGRAM = f"""
import sys
from airflow.dag_processing.dagbag import DagBag
import include.processes.warm_up
found = DagBag({str(ROOT / "dags")!r}, load_op_links=False)
assert found.dags and not found.import_errors, found.import_errors
print("imported:", *(name for name in {HEAVY} if name in sys.modules))
"""


def test_neither_dag_files_nor_the_dag_processor_s_warm_up_import_what_only_tasks_use():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "imported:"
