"""Before anything imports Airflow: the project's settings, and nothing of the user's own Airflow."""

import os

from include.settings import ROOT

os.environ["AIRFLOW_HOME"] = str(ROOT / ".local" / "tests" / "airflow")
os.environ["AIRFLOW_CONFIG"] = str(ROOT / "config" / "airflow.cfg")
# A DAG in Airflow's database names its timetable, which a plugin registers.
os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(ROOT / "plugins")
# A new interpreter that reads the DAG files imports Cosmos and dbt first: over 30 s on a busy machine.
os.environ["AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT"] = "300"
