"""Where pip is configured to take packages from, uv takes them from too."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pip
import pytest

from dev.system.install_packages import pip_options, uv_variables
from include.settings import ROOT

LOGIN = "reader:of-the-index"
LISTED = """\
:env:.extra-index-url='https://of-the-environment/'
global.extra-index-url='https://of-the-file/'
global.index-url='https://global/simple'
install.index-url='https://install/simple'
global.proxy=''
download.cert='/of/another/command'
"""


def test_of_pips_sections_the_environment_counts_most_then_the_commands_own():
    found = pip_options(LISTED)
    assert found == {"index-url": "https://install/simple", "extra-index-url": "https://of-the-environment/"}


@pytest.mark.parametrize(
    ("options", "environment", "told"),
    [
        ({}, {}, {}),
        ({"index-url": "https://a"}, {}, {"UV_DEFAULT_INDEX": "https://a"}),
        ({"index-url": "https://a"}, {"UV_INDEX_URL": "https://b"}, {}),
        ({"index-url": "https://a"}, {"UV_DEFAULT_INDEX": "https://b"}, {}),
        (
            {"extra-index-url": "https://a\nhttps://b"},
            {},
            {"UV_INDEX": "https://a https://b", "UV_INDEX_STRATEGY": "unsafe-best-match"},
        ),
        (
            {"extra-index-url": "https://a"},
            {"UV_INDEX_STRATEGY": "first-index"},
            {"UV_INDEX": "https://a"},
        ),
        ({"extra-index-url": "file:///no/such/folder", "find-links": "/no/such /nor/such"}, {}, {}),
        ({"find-links": "/ https://a"}, {}, {"UV_FIND_LINKS": "/,https://a"}),
        ({"trusted-host": "a b"}, {}, {"UV_INSECURE_HOST": "a b"}),
        ({"cert": "/ca.pem"}, {}, {"SSL_CERT_FILE": "/ca.pem"}),
        ({"cert": "/ca.pem"}, {"SSL_CERT_FILE": "/own.pem"}, {}),
        ({"proxy": "http://p"}, {}, {"HTTPS_PROXY": "http://p", "HTTP_PROXY": "http://p"}),
        ({"proxy": "http://p"}, {"https_proxy": "http://q"}, {}),
        ({"constraint": "/x"}, {}, {}),
    ],
)
def test_uv_is_told_what_pip_is_told_unless_it_is_told_otherwise(
    options: dict[str, str], environment: dict[str, str], told: dict[str, str]
):
    assert uv_variables(options, environment) == told


def wheel() -> bytes:
    """Of the package `tiny`, which has one empty module."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("tiny.py", "")
        file.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        file.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr("tiny-1.0.dist-info/RECORD", "tiny.py,,\ntiny-1.0.dist-info/METADATA,,\n")
    return content.getvalue()


class Index(BaseHTTPRequestHandler):
    """A company's index: answers who logs in."""

    file = wheel()
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.headers.get("Authorization") != f"Basic {base64.b64encode(LOGIN.encode()).decode()}":
            return self.answer(401, b"")
        if self.path == "/simple/tiny/":
            return self.answer(200, b'<a href="../../tiny-1.0-py3-none-any.whl">tiny-1.0-py3-none-any.whl</a>')
        return self.answer(200, self.file) if self.path.endswith(".whl") else self.answer(404, b"")

    def answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if content.startswith(b"<") else "application/zip")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    do_HEAD = do_GET

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def index() -> Iterator[str]:
    """Its address, with the login."""
    Index.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{LOGIN}@127.0.0.1:{server.server_port}/simple"
        server.shutdown()


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """Of an environment that has pip and uv and nothing else, in a folder with a blank."""
    folder = tmp_path / "an environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    shutil.copy(Path(sys.executable).with_name("uv"), folder / "bin/uv")
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "pip").symlink_to(Path(pip.__file__).parent)
    return folder / "bin/python"


def install(python: Path, configuration: str, tmp_path: Path, lock: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "lock").write_text(lock)
    (tmp_path / "pip.conf").write_text(configuration)
    others = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "PYTHON"))}
    own = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "PYTHONPATH": str(ROOT), "UV_CACHE_DIR": str(tmp_path / "uv")}
    words = [python, "-m", "dev.system.install_packages", "install", "lock"]
    return subprocess.run(words, cwd=tmp_path, env=others | own, capture_output=True, text=True)


def test_the_lock_is_installed_from_pips_index_and_no_other(index: str, python: Path, tmp_path: Path):
    lock = f"tiny==1.0 --hash=sha256:{hashlib.sha256(Index.file).hexdigest()}\n"
    done = install(python, f"[global]\nindex-url = {index}\n", tmp_path, lock)
    assert done.returncode == 0, done.stderr + done.stdout
    assert [path for path in Index.asked if path.endswith(".whl")]
    [module] = python.parent.parent.glob("lib/python*/site-packages/tiny.py")
    assert not list(module.parent.glob("__pycache__/tiny.*")), "what nobody imports need not be compiled"
    subprocess.run([python, "-c", "import tiny"], check=True)


def test_where_it_fails_uvs_variables_are_named_and_no_password(index: str, python: Path, tmp_path: Path):
    done = install(python, f"[install]\nindex-url = {index}\n", tmp_path, f"none==1.0 --hash=sha256:{'0' * 64}\n")
    assert done.returncode
    assert "pip's configuration gave it UV_DEFAULT_INDEX. To tell uv otherwise, set its own variables" in done.stderr
    assert LOGIN.partition(":")[2] not in done.stdout + done.stderr
