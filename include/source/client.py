"""Asks a source, always in one way: whether a file is there, for the file, and for the ETags of many files.

Proxies, certificates and logins are those of requests, with two differences: loopback is never asked by a proxy, and
SSL_CERT_FILE and SSL_CERT_DIR count as well (docs/reference/settings.md). No exception holds what is secret in an
address, neither in its text nor in one that it came from.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from http.client import responses
from ipaddress import ip_address
from pathlib import Path
from typing import Self, TypeVar

import requests
from requests.auth import HTTPBasicAuth

from include.settings import SettingError
from include.source.address import Address

CONNECT_AND_READ_TIMEOUT = (10.0, 60.0)  # seconds; for each read, not for the whole file
NOT_THERE = (403, 404)  # TLC answers 403 for a file that is not there
NO_HEAD = (405, 501)
# The first that is set. Of these requests knows the first two, and OpenSSL, with it httpx, the last two.
AUTHORITIES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")

# At DEBUG it logs the path and the query of each request. Airflow's masking is a second guard only: it knows no
# signature of an address that the source leads to.
logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)

Result = TypeVar("Result")


@dataclass(frozen=True)
class Answer:
    """What a server says of a file without sending it. `length` in bytes. Each is None where the server is silent."""

    status: int
    etag: str | None
    length: int | None
    last_modified: str | None
    retry_after: str | None


class Client:
    """Asks addresses on one server. Threads may share it; for `with`.

    `timeout`: in seconds, to connect and for each read; None is CONNECT_AND_READ_TIMEOUT. Raises SettingError for
    AUTHORITIES.
    """

    def __init__(self, base: Address, timeout: tuple[float, float] | None = None) -> None:
        self._timeout = timeout or CONNECT_AND_READ_TIMEOUT
        self._session = requests.Session()
        # else length and, with some servers, ETag are those of a compressed answer
        self._session.headers["Accept-Encoding"] = "identity"
        self._session.trust_env = not is_loopback(base.host)
        self._verify = authorities()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def head(self, address: Address) -> Answer:
        """The server's answer to HEAD, of whatever status; to GET, its body left unread, where it takes no HEAD.

        Some servers lead to an address that is signed for GET, and refuses HEAD. Raises requests.RequestException where
        there is no answer.
        """
        answer, was_led = self._ask("HEAD", address, lambda response: (_answer_of(response), bool(response.history)))
        if answer.status in NO_HEAD or (was_led and answer.status in NOT_THERE):
            return self._ask("GET", address, _answer_of)
        return answer

    def get(self, address: Address, use: Callable[[requests.Response], Result]) -> Result:
        """What `use` makes of the answer, whose body is not read yet. It may not keep the answer.

        Raises requests.HTTPError for a status of 400 or more, requests.RequestException for other trouble, of `use`'s
        reading too, and what else `use` raises.
        """

        def read(response: requests.Response) -> Result:
            if response.status_code >= 400:
                raise http_error(address, _answer_of(response))
            return use(response)

        return self._ask("GET", address, read)

    def _ask(self, method: str, address: Address, use: Callable[[requests.Response], Result]) -> Result:
        # as UTF-8, where requests would take Latin-1
        login = address.login and HTTPBasicAuth(*(each.encode() for each in address.login))
        try:
            with self._session.request(
                method,
                address.to_ask(),
                auth=login,
                stream=True,
                timeout=self._timeout,
                verify=self._verify,
            ) as response:
                return use(response)
        except (requests.RequestException, ValueError) as error:
            failure = _without_secrets(error, address)
        raise failure  # here, where nothing is handled: else the error would be its context


def http_error(address: Address, answer: Answer) -> requests.HTTPError:
    """The error for an answer that refuses, with status and Retry-After, as include.failures.retry needs them."""
    response = requests.Response()
    response.status_code, response.url = answer.status, address.shown
    if answer.retry_after:
        response.headers["Retry-After"] = answer.retry_after
    said = f"{answer.status} {responses.get(answer.status, '')}".strip()
    return requests.HTTPError(f"{said}: {address.shown}", response=response)


def is_loopback(host: str) -> bool:
    """Whether the host is this machine, which no proxy can reach."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def authorities() -> str | bool:
    """The file or folder of certificates to trust; True for those that come with requests.

    Raises SettingError where there is none at the path that is set.
    """
    for name in AUTHORITIES:
        if path := os.environ.get(name):
            if not Path(path).exists():
                raise SettingError(f"{name}={path}: there is no such file or folder of certificates.")
            return path
    return True


def _answer_of(response: requests.Response) -> Answer:
    length = response.headers.get("Content-Length", "")
    return Answer(
        status=response.status_code,
        etag=response.headers.get("ETag"),
        length=int(length) if length.isdecimal() else None,
        last_modified=response.headers.get("Last-Modified"),
        retry_after=response.headers.get("Retry-After"),
    )


def _without_secrets(error: Exception, address: Address) -> requests.RequestException:
    """An error of the same class that has neither the URL that was asked, nor one that the server led to.

    requests names them in its texts, its responses and the exceptions that its own come from.
    """
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return http_error(address, _answer_of(error.response))
    kind = type(error) if isinstance(error, requests.RequestException) else requests.RequestException
    if isinstance(error, ValueError):  # of a URL: the text is the URL
        words = "it cannot be asked, or where it leads to, or the proxy in HTTP_PROXY, HTTPS_PROXY or ALL_PROXY"
    else:
        cause = error.args[0] if error.args else ""
        words = str(getattr(cause, "reason", None) or cause)
        words = re.sub(r"\w+://\S+|[?]\S+", "…", words)
        for secret in address.secrets():
            words = words.replace(secret, "…")
    return kind(f"{address.shown}: {words}")
