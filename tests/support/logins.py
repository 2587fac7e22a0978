"""What users see whom a stack does not have."""

from __future__ import annotations

import subprocess
import sys

import requests

from dev.stack import Stack

# as Airflow itself makes them when somebody logs in
MAKE_A_LOGIN = """
import sys
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
print(SimpleAuthManager().generate_jwt(SimpleAuthManagerUser(username="somebody", role=sys.argv[1] or None)))
"""


def login_of(stack: Stack, role: str) -> str:
    """The token of a user of the role: viewer, user, op, admin; empty: of none."""
    done = subprocess.run(
        [sys.executable, "-c", MAKE_A_LOGIN, role],
        env=stack.environment() | {"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()[-1]


def asked_by(stack: Stack, role: str, path: str, **body: object) -> requests.Response:
    """The answer to a user of the role: to a POST of the body, where one is given, else to a GET."""
    headers = {"Authorization": f"Bearer {login_of(stack, role)}"}
    method = "POST" if body else "GET"
    return requests.request(method, f"{stack.airflow.url}{path}", headers=headers, json=body or None, timeout=30)
