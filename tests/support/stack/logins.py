"""What users see whom a stack does not have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import requests

from dev.stack.stack import Stack

# as Airflow itself makes them when somebody logs in
MAKE_A_LOGIN = """
import sys
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
print(SimpleAuthManager().generate_jwt(SimpleAuthManagerUser(username="somebody", role=sys.argv[1] or None)))
"""


LOGINS: dict[tuple[Path, str], str] = {}  # making one takes Airflow 5 s; they hold for a day


def login_of(stack: Stack, role: str) -> str:
    """The token of a user of the role: viewer, user, op, admin; empty: of none."""
    if (stack.state, role) not in LOGINS:
        done = subprocess.run(
            [sys.executable, "-c", MAKE_A_LOGIN, role],
            env=stack.environment() | {"PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        LOGINS[stack.state, role] = done.stdout.splitlines()[-1]
    return LOGINS[stack.state, role]


def asked_by(stack: Stack, role: str, path: str, **body: object) -> requests.Response:
    """The answer to a user of the role: to a POST of the body, where one is given, else to a GET."""
    headers = {"Authorization": f"Bearer {login_of(stack, role)}"}
    method = "POST" if body else "GET"
    return requests.request(method, f"{stack.airflow.url}{path}", headers=headers, json=body or None, timeout=30)
