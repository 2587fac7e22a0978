"""Asks whether a file is there, and streams it to disk, bounded in size and time."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import requests

from include.support.counted import counted

CONNECT_AND_READ_TIMEOUT = (10, 60)  # seconds; for each read, not for the whole file
MAX_SECONDS = 30 * 60
MAX_BYTES = 2 * 1024**3  # against a runaway answer: a month of green trips is 0.7 to 1.5 MB
CHUNK_BYTES = 1024**2
NOT_THERE = (403, 404)  # TLC answers 403 for a file that is not there


class FileUnavailable(Exception):
    """The source refuses the file: it is not available, or the URL is wrong."""


class DownloadError(Exception):
    """The file is too large, or took too long to arrive. The message names the URL and the bound."""


class FileChanged(Exception):
    """The source has put up another version since the download. Loading again takes that one."""


@dataclass(frozen=True, kw_only=True)
class FileVersion:
    """One version of a file: where it is, and what its server said of it."""

    url: str
    etag: str | None
    sha256: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Download(FileVersion):
    """A complete file on disk, open for reading at its beginning."""

    file: BinaryIO
    content_type: str | None


def is_available(url: str) -> bool:
    """Whether the source has the file. Raises what `_head` raises."""
    return _head(url).status_code not in NOT_THERE


def is_unchanged(url: str, etag: str | None) -> bool:
    """Whether the source still has the version with this ETag; True without an ETag. Raises what `_head` raises."""
    answer = _head(url)
    return not etag or answer.headers.get("ETag") == etag


def require_unchanged(file: Download) -> None:
    """Raises FileChanged if the source has another version of the file now, and what `is_unchanged` raises."""
    if not is_unchanged(file.url, file.etag):
        raise FileChanged(f"{file.url} was replaced while it was being loaded. Nothing was changed; load it again.")


@contextmanager
def download(url: str) -> Iterator[Download]:
    """Streams the file to a temporary file without a name, which is gone when the context or the process ends.

    Raises FileUnavailable on 403 and 404, requests.RequestException on anything that may heal (connection trouble, a
    transfer cut short, 5xx, 429), DownloadError past MAX_BYTES or MAX_SECONDS.
    """
    with tempfile.TemporaryFile() as file:
        # identity: then Content-Length is the size of the file, and urllib3 requires as many bytes
        with requests.get(
            url, stream=True, timeout=CONNECT_AND_READ_TIMEOUT, headers={"Accept-Encoding": "identity"}
        ) as response:
            if response.status_code in NOT_THERE:
                raise FileUnavailable(
                    f"{url} answered {response.status_code}: the file is not available, or the address is wrong. "
                    "Open it in a browser; check the Airflow variable tlc_base_url."
                )
            response.raise_for_status()
            digest, size = _save(response, file)
        file.seek(0)
        yield Download(
            file=file,
            url=url,
            etag=response.headers.get("ETag"),
            content_type=response.headers.get("Content-Type"),
            sha256=digest,
            bytes=size,
        )


def _head(url: str) -> requests.Response:
    """The source's answer that it has the file, or that the file is not there.

    Raises requests.RequestException where there is no such answer (connection trouble, 5xx, 429).
    """
    response = requests.head(url, timeout=CONNECT_AND_READ_TIMEOUT, allow_redirects=True)
    if response.status_code not in NOT_THERE:
        response.raise_for_status()
    return response


def _save(response: requests.Response, file: BinaryIO) -> tuple[str, int]:
    digest, size, deadline = hashlib.sha256(), 0, time.monotonic() + MAX_SECONDS
    for chunk in response.iter_content(CHUNK_BYTES):
        size += len(chunk)
        if size > MAX_BYTES:
            raise DownloadError(f"{response.url} is larger than {MAX_BYTES:,} bytes, the most this project loads")
        if time.monotonic() > deadline:
            raise DownloadError(
                f"{response.url} was not complete after {MAX_SECONDS} seconds ({counted(size, 'byte')})"
            )
        digest.update(chunk)
        file.write(chunk)
    return digest.hexdigest(), size
