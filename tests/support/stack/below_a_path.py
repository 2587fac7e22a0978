"""The UI of a running stack below a path of its host, behind nginx, as Airflow's documents set that up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import requests

from dev.services.airflow_api import AirflowApi
from dev.stack.stack import Stack
from dev.system.ports import LOOPBACK, reserved_port
from dev.system.process import BackgroundProcess, stop_all
from dev.system.programs import command
from tests.support.until import until

# https://airflow.apache.org/docs/apache-airflow/stable/howto/run-behind-proxy.html, without its websockets
SERVER = """
daemon off; master_process off; pid nginx.pid; error_log nginx.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy;
  fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  server {{
    listen {host}:{port};
    location {path} {{
      proxy_pass http://{host}:{behind};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_redirect off;
    }}
  }}
}}
"""


@contextmanager
def below_a_path(stack: Stack, place: Path, path: str = "/team/") -> Iterator[str]:
    """A second api-server of the stack whose `[api] base_url` has the path: its address, without the last slash."""
    port, behind = (reserved_port(place / name) for name in ("nginx.port", "api-server.port"))
    url = f"http://{LOOPBACK}:{port}{path}"
    settings = place / "nginx.conf"
    settings.write_text(SERVER.format(host=LOOPBACK, port=port, path=path, behind=behind), encoding="utf-8")
    server, proxy = (BackgroundProcess(place, name) for name in ("api-server", "nginx"))
    try:
        server.ensure(
            command("airflow", "api-server"),
            stack.environment() | {"AIRFLOW__API__BASE_URL": url, "AIRFLOW__API__PORT": str(behind)},
        )
        beside = f"{os.environ['PATH']}:/usr/sbin:/sbin"  # a server's place, and not on everyone's PATH
        proxy.ensure(["nginx", "-p", str(place), "-c", str(settings), "-e", "nginx.log"], {"PATH": beside})
        api = AirflowApi(url.rstrip("/"), *stack.login)

        def answers() -> bool:
            with suppress(requests.RequestException):
                return bool(api.health())
            return False

        until(answers, bool, seconds=120, besides=lambda: f"{server.log_end()}\n{proxy.log_end()}")
        yield api.url
    finally:
        stop_all([proxy, server])
