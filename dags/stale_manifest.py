"""Has no DAG. Airflow shows an import error of this file if the dbt project has changed since its manifest was made.

If the file of the pipelines had the error, Airflow would start none of their tasks meanwhile.
"""

from __future__ import annotations

from include.transform.manifest import require_fresh

require_fresh()
