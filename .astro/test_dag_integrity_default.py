"""What `astro dev parse`, and `astro deploy` before it uploads, run in the image: every DAG file can be imported.

The CLI calls the file by this name. Its own copy calls `DagBag(include_examples=False)`, which Airflow 3.3 refuses.
"""

import pytest
from airflow.dag_processing.dagbag import DagBag

BAG = DagBag()


def test_there_are_dags():
    assert BAG.dags or BAG.import_errors, f"no DAG in {BAG.dag_folder}"


@pytest.mark.parametrize("file", BAG.import_errors)
def test_the_file_can_be_imported(file: str):
    pytest.fail(f"{file}: {BAG.import_errors[file]}", pytrace=False)
