"""Makes dbt's manifest anew when somebody changes the dbt project, and has Airflow draw the DAGs from it at once.

`python -m dev.stack.manifest_watcher <state>` runs as a process of the stack of that state folder. Where dbt refuses
the project, its log says why, and the manifest stays as it was until a file is changed again.
"""

import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import requests

from dev.errors import StackError
from dev.stack.stack import Stack
from include.transform import manifest
from include.transform.project_files import parsed_files

# Between two looks at the files, each of which takes 1 ms. The project counts as written when two looks see the same:
# an editor may write a file in parts, and a change of branch writes many. With watchfiles, which is told by the
# kernel, the process took 2 ms of CPU a second less and 0.7 MiB more; the kernel does not tell what another machine
# writes to a shared folder.
LOOK_SECONDS = 1.0
# dbt's first parse in a process takes 8 s of CPU, each later one 2 s (2 busy cores). So that no edit waits for the
# first, it is made so long after the start, when the command that started the stack is over.
WARM_SECONDS = 60
AGAIN_SECONDS = 10  # after a full disk, or a file that went away while it was copied


def watch(stack: Stack) -> None:
    """Never returns."""
    seen = parsed_files()
    answered = None if manifest.stale() else seen
    warm_from: float | None = time.monotonic() + WARM_SECONDS
    while True:
        time.sleep(LOOK_SECONDS)
        now = parsed_files()
        if now == seen and now != answered:
            answered, warm_from = now, None
            try:
                if made_anew():
                    stack.workers.renew_dbt()
                    draw_dags(stack)
            except OSError as error:
                say(f"{error}. It is tried again.")
                answered = None
                time.sleep(AGAIN_SECONDS)
        elif warm_from and time.monotonic() > warm_from:
            with tempfile.TemporaryDirectory() as nowhere:
                manifest.make_manifest(Path(nowhere) / "manifest.json")
            warm_from = None
        seen = now


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
    """Tells the DAG processor to read every DAG file now. By itself it does so within 30 s."""
    try:
        for token in {dag["file_token"] for dag in stack.api.pages("/dags", "dags")}:
            stack.api.call("PUT", f"/parseDagFile/{token}")
        say("The DAG processor is told to draw the DAGs.")
    except (requests.RequestException, StackError) as error:
        say(f"Airflow's API does not answer ({error}): the DAG processor draws the DAGs when it reads them next.")


def say(text: str) -> None:
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}", flush=True)


if __name__ == "__main__":
    watch(Stack(Path(sys.argv[1])))
