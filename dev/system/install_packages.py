"""Installs locked packages with uv, from where pip is configured to: `python -m dev.system.install_packages sync FILE`.

Run by the environment's own Python, which has pip and uv and nothing else yet. uv reads no configuration of pip's, and
would ask PyPI where a company's pip asks its own index. uv is kept, as pip took three times its CPU for the lock.
Modules are compiled when they are first imported: a stack imports a fraction of the 12,000 that are installed, and to
compile all of them took 29 s of CPU.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

# What counts more comes later: https://pip.pypa.io/en/stable/topics/configuration/#precedence-override-order
SECTIONS = ("global", "install", ":env:")
# The variables of uv that the options of pip become, and those by which uv has been told already.
# https://docs.astral.sh/uv/reference/environment/, https://pip.pypa.io/en/stable/cli/pip_install/
VARIABLES = {
    "index-url": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "extra-index-url": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "find-links": ("UV_FIND_LINKS",),
    "trusted-host": ("UV_INSECURE_HOST",),
    "cert": ("SSL_CERT_FILE",),
    "client-cert": ("SSL_CLIENT_CERT",),
    "proxy": ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"),
    "timeout": ("UV_HTTP_TIMEOUT",),
}
PLACES = ("index-url", "extra-index-url", "find-links")


def pip_options(listed: str) -> dict[str, str]:
    """The options that hold for `pip install`, from the lines of `pip config list`: `global.index-url='https://...'`."""
    found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.rpartition(".")
        if section in found:
            found[section][option] = str(ast.literal_eval(value))
    return {option: value for section in SECTIONS for option, value in found[section].items() if value}


def uv_variables(options: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """What tells uv the same as these options of pip, unless the environment tells uv something else already.

    Folders that are not there are left out: pip passes over them, and uv ends.
    """
    told = {}
    for option, names in VARIABLES.items():
        value = options.get(option, "")
        words = [word for word in value.split() if option not in PLACES or _is_there(word)]
        if words and not any(name in environment for name in names):
            told[names[0]] = ("," if option == "find-links" else " ").join(words)
    if "HTTPS_PROXY" in told:
        told["HTTP_PROXY"] = told["HTTPS_PROXY"]
    if "UV_INDEX" in told and "UV_INDEX_STRATEGY" not in environment:
        # As pip: all indexes count. Whose file it is does not matter, as the lock has the hash of each.
        told["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return told


def _is_there(place: str) -> bool:
    """Whether the folder exists; True of any other address."""
    if "://" in place:
        parts = urlsplit(place)
        return parts.scheme != "file" or Path(url2pathname(parts.path)).exists()
    return Path(place).exists()


def main(action: str, *files: str) -> int:
    asked = [sys.executable, "-m", "pip", "config", "list", "--disable-pip-version-check"]
    listed = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    options = pip_options(listed)
    told = uv_variables(options, os.environ)
    uv = [str(Path(sys.executable).with_name("uv")), "pip", action, "--quiet", "--require-hashes"]
    no_index = ["--no-index"] if options.get("no-index", "").lower() in ("1", "true", "yes", "on") else []
    words = [word for file in files for word in ("-r", file)] if action == "install" else files
    # by the environment: an index' address may hold a password
    done = subprocess.run([*uv, *no_index, "--python", sys.executable, *words], env=os.environ | told)
    if done.returncode:
        of_pip = "pip's configuration names no index."
        if told:
            of_pip = f"pip's configuration gave it {', '.join(sorted(told))}."
        print(
            f"uv could not install {', '.join(files)}. {of_pip} To tell uv otherwise, set its own variables: "
            "UV_DEFAULT_INDEX and UV_INDEX (addresses of indexes), SSL_CERT_FILE, HTTPS_PROXY, UV_INSECURE_HOST.",
            file=sys.stderr,
        )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
