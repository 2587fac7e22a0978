"""Looks whether somebody has changed the dbt project, and has the manifest made anew where it was.

`python -m dev.stack.manifest_watcher <state>` runs as a process of the stack of that state folder. It imports neither
dbt nor the stack. A process of its own, manifest_maker.py, does, and runs for as long as somebody edits.
"""

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from include.transform import manifest
from include.transform.project_files import parsed_files

# Between two looks at the files, each of which takes 1 ms. The project counts as written when two looks see the same:
# an editor may write a file in parts, and a change of branch writes many. With watchfiles, which is told by the
# kernel, the process took 2 ms of CPU a second less and 0.7 MiB more; the kernel does not tell what another machine
# writes to a shared folder.
LOOK_SECONDS = 1.0
# How long the maker stays after an edit. The next edit then needs neither imports nor dbt's first parse.
STAYS_SECONDS = 600
AGAIN_SECONDS = 10  # after a maker that was killed


def watch(state: Path, stays: float = STAYS_SECONDS) -> None:
    """Never returns."""
    seen = parsed_files()
    answered = None if manifest.stale() else seen
    maker: subprocess.Popen[str] | None = None
    asked = 0.0
    while True:
        time.sleep(LOOK_SECONDS)
        now = parsed_files()
        if maker and maker.poll() is not None:
            time.sleep(AGAIN_SECONDS)
            maker, answered = None, None
        elif now != answered:
            maker = maker or start_maker(state)  # it imports what it needs meanwhile
            if now == seen:
                with suppress(BrokenPipeError):  # the next look finds that it has ended
                    print(file=maker.stdin, flush=True)
                answered, asked = now, time.monotonic()
        elif maker and time.monotonic() - asked > stays:
            maker.communicate()  # ends its input, and waits for its end
            maker = None
        seen = now


def start_maker(state: Path) -> subprocess.Popen[str]:
    """It makes the manifest anew for each line that it is sent, and ends when its input does, or this process."""
    command = [sys.executable, "-m", "dev.stack.manifest_maker", str(state)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, text=True)


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
