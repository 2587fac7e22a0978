"""No DAG. Airflow shows an import error of this file while dbt's manifest is not made from the project's present files.

Not of the file of the DAGs that are drawn from it: Airflow would start no task of them meanwhile, of no run.
"""

from __future__ import annotations

from include.transform.manifest import require_fresh

require_fresh()
