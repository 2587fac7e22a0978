"""The image of deploy/Dockerfile, built by buildah on a stand-in for Airflow's own image."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from include.settings import ROOT
from tests.support.dbt.project_copy import LEFT_OUT

HERE = Path(__file__).parent
STATE = ROOT / ".local" / "image"  # the base is kept there, and made anew when what it is made of has changed
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
AIRFLOW = re.findall(r"^FROM apache/airflow:([\d.]+)-", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE)[0]
ENTRYPOINT = ("/usr/bin/dumb-init", "--", "/entrypoint")  # gives the user a name, and runs `airflow`
RANDOM_USER = "123456:0"  # as a cluster chooses one that has no name in the image
HOSTNAME = "taxi-pipeline-image"
SETTINGS = {"BUILDAH_FORMAT": "docker", "BUILDAH_ISOLATION": "chroot"}
OF_A_CLONE = (".env", "notes/password.txt", "dbt/target/manifest.json")  # what must not go into an image


def missing() -> list[str]:
    """What this machine lacks to build an image without Docker."""
    programs = [name for name in ("buildah", "debootstrap") if not shutil.which(name)]
    return [*([] if os.geteuid() == 0 else ["root"]), *programs]


def command(*words: object) -> list[str]:
    """One of buildah's commands; all that it keeps is below STATE."""
    places = ["--root", STATE / "storage", "--runroot", STATE / "run", "--storage-driver", "overlay"]
    return ["buildah", *map(str, [*places, *words])]


def buildah(*words: object) -> str:
    """A command that must succeed; what it printed."""
    own = os.environ | SETTINGS
    done = subprocess.run(command(*words), env=own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, f"buildah {' '.join(map(str, words))}:\n{done.stdout[-5000:]}"
    return done.stdout


@dataclass
class Container:
    """A container of the image. Its files are its own; the network is the machine's."""

    id: str
    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self, *words: str, user: str = RANDOM_USER, **environment: str) -> str:
        """A command that must succeed; what it printed."""
        return buildah("run", *self._told(user, environment, words))

    def start(self, *words: str, log: Path, **environment: str) -> None:
        """Airflow's command, by the image's entrypoint; it runs until `stop`."""
        told = command("run", *self._told(RANDOM_USER, environment, (*ENTRYPOINT, *words)))
        with log.open("wb") as output:
            self.processes.append(
                subprocess.Popen(told, env=os.environ | SETTINGS, stdout=output, stderr=subprocess.STDOUT)
            )

    def all_run(self) -> bool:
        return all(each.poll() is None for each in self.processes)

    def stop(self) -> None:
        """Ends what was started. Airflow's processes rename themselves, so they are found by their parents."""
        family = [each for parent in self.processes for each in psutil.Process(parent.pid).children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        for process in psutil.wait_procs(family, timeout=30)[1]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for parent in self.processes:
            parent.kill()
            parent.wait()
        self.processes.clear()

    def _told(self, user: str, environment: dict[str, str], words: tuple[str, ...]) -> list[str]:
        """buildah's words for it. The environment comes from a file, as anybody can read a command line."""
        file = self.folder / user.replace(":", "-")
        file.touch(0o600)
        file.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items()))
        os.chown(file, int(user.split(":")[0]), 0)
        within = ["--hostname", HOSTNAME, "--user", user, "--volume", f"{file}:/run/environment:ro", self.id]
        return [*within, "--", "sh", "-c", '. /run/environment && exec "$@"', "sh", *words]


@pytest.fixture(scope="session")
def base() -> str:
    """The name of the stand-in base. Made once: 55 s for Debian, 65 s for Airflow (2 cores)."""
    if lacks := missing():
        pytest.skip(f"{', '.join(lacks)} missing: no image was built (as root: apt-get install buildah debootstrap)")
    parts = [HERE / "base.Dockerfile", HERE / "entrypoint"]
    digest = hashlib.sha256(b"".join(part.read_bytes() for part in parts) + AIRFLOW.encode()).hexdigest()[:12]
    name = f"localhost/stand-in:{digest}"
    if name not in buildah("images", "--format", "{{.Name}}:{{.Tag}}").split():
        context = STATE / "context"
        context.mkdir(parents=True, exist_ok=True)
        for part in (CERTIFICATES, *parts):
            shutil.copy(part, context)
        _make_debian(context / "debian.tar")
        version = f"AIRFLOW_VERSION={AIRFLOW}"
        buildah("bud", "--build-arg", version, "--tag", name, "--file", HERE / "base.Dockerfile", context)
    return name


def _make_debian(archive: Path) -> None:
    """Debian of the machine's release, with what Airflow's own image has of it."""
    if archive.exists():
        return
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    system, making = STATE / "debian", archive.with_suffix(".making")
    shutil.rmtree(system, ignore_errors=True)
    packages = "python3,python3-venv,ca-certificates,dumb-init,procps"
    words = [
        "debootstrap",
        "--variant=minbase",
        f"--include={packages}",
        release["VERSION_CODENAME"].strip('"'),
        system,
    ]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["tar", "-C", system, "-cf", making, "."], check=True)
    making.rename(archive)
    shutil.rmtree(system)


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, as somebody has it who may be the only one to read it, with files that must not go into an image."""
    clone = tmp_path_factory.mktemp("clone") / "project"
    shutil.copytree(ROOT, clone, ignore=LEFT_OUT)
    for path in OF_A_CLONE:
        (clone / path).parent.mkdir(exist_ok=True)
        (clone / path).write_text("a password")
    subprocess.run(["chmod", "-R", "go-rwx", clone], check=True)
    return clone


@pytest.fixture(scope="session")
def image(base: str, clone: Path) -> str:
    """The name of the image that is built from the clone."""
    name = "localhost/taxi-pipeline:tried"
    words = ["--from", base, "--pull-never", "--tag", name, "--file", clone / "deploy/Dockerfile", clone]
    print(buildah("bud", *words)[-300:], file=sys.stderr)
    return name


@pytest.fixture
def container(image: str, tmp_path: Path) -> Iterator[Container]:
    # the chart's hostname_callable looks the container's own name up
    made = Container(
        buildah("from", "--pull-never", "--add-host", f"{HOSTNAME}:127.0.0.1", image).split()[-1], tmp_path
    )
    try:
        yield made
    finally:
        made.stop()
        buildah("rm", made.id)
