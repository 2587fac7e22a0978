"""Makes dbt's manifest anew, and has Airflow draw the DAGs from it at once, for each line of its input.

manifest_watcher.py starts it: `python -m dev.stack.manifest_maker <state>`. It is a process of its own as it holds dbt.
Where dbt refuses the project, the log says why, and the manifest stays as it was until a file is changed again.
"""

import sys
import time
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import requests

from dev.errors import StackError
from dev.stack.stack import Stack
from include.transform import manifest

AGAIN_SECONDS = 10  # after a full disk, or a file that went away while it was copied


def make(stack: Stack) -> None:
    """Brings the project's files, as they are now, to the manifest, to Celery's workers and to the DAG processor."""
    while True:
        try:
            if made_anew():
                stack.workers.renew_dbt()
                draw_dags(stack)
            return
        except OSError as error:
            say(f"{error}. It is tried again.")
            time.sleep(AGAIN_SECONDS)


def made_anew() -> bool:
    """Makes the manifest of the present files, unless somebody has. False where dbt refuses them."""
    if not (why := manifest.fault() or manifest.stale()):
        return True
    say(f"The manifest {why}. It is made anew.")
    if not manifest.make_manifest():
        say("dbt refuses the project; see above. The manifest stays as it was. Correct the project.")
        return False
    return True


def draw_dags(stack: Stack) -> None:
    """Tells the DAG processor to read every DAG file now. By itself it does so within a minute."""
    try:
        for token in {dag["file_token"] for dag in stack.api.pages("/dags", "dags")}:
            stack.api.call("PUT", f"/parseDagFile/{token}")
        say("The DAG processor is told to draw the DAGs.")
    except (requests.RequestException, StackError) as error:
        say(f"Airflow's API does not answer ({error}): the DAG processor draws the DAGs when it reads them next.")


def say(text: str) -> None:
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}", flush=True)


if __name__ == "__main__":
    import_module("dbt.cli.main")  # before the first line, which comes when all files are written
    stack = Stack(Path(sys.argv[1]))
    for _ in sys.stdin:
        make(stack)
