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

WITHOUT_OPENLINEAGE = """
import sys
import airflow.configuration  # it reads what each installed provider says of itself
sys.modules |= dict.fromkeys(["openlineage", "airflow.providers.openlineage"])  # an import of them fails from here on
from include.openlineage.switch import sends_events
from plugins.openlineage_events import OpenLineageEvents
OpenLineageEvents.on_load()
assert not sends_events()
"""


def test_neither_dag_files_nor_the_dag_processor_s_warm_up_import_what_only_tasks_use():
    assert printed_by(PROGRAM) == "imported:"


def test_they_are_drawn_where_the_provider_of_openlineage_is_not_installed():
    assert printed_by(WITHOUT_OPENLINEAGE + PROGRAM) == "imported:"


def printed_by(program: str) -> str:
    """The last line that a new Python prints, in which the program must succeed."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]
