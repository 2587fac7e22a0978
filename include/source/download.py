"""Asks whether a file is there, or another than before, and streams it to disk, bounded in size and time."""

from __future__ import annotations

import hashlib
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import requests

from include.source.address import Address
from include.source.client import NOT_THERE, Answer, Client, http_error
from include.support.counted import counted

MAX_SECONDS = 30 * 60
MAX_BYTES = 2 * 1024**3  # against a runaway answer: a month of green trips is 0.7 to 1.5 MB
CHUNK_BYTES = 1024**2
# What servers put around an ETag that else stays: W/ where they compress, or could; a suffix for each compression.
DRESSED_ETAG = re.compile(r'(?:W/)?"?(.*?)(?:[-:;+.]+(?:gzip|gz|br|deflate|df|zstd))?"?')


class FileUnavailable(Exception):
    """The source refuses the file: it is not available, or the URL is wrong."""


class DownloadError(Exception):
    """The file is too large, or took too long to arrive. The message names the URL and the bound."""


class FileChanged(Exception):
    """The source has put up another version since the download. Loading again takes that one."""


@dataclass(frozen=True, kw_only=True)
class FileVersion:
    """One version of a file: where it is, without what is secret in its address, and what its server said of it."""

    url: str
    etag: str | None
    sha256: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Download(FileVersion):
    """A complete file on disk, open for reading at its beginning."""

    address: Address
    file: BinaryIO
    content_type: str | None
    last_modified: str | None


def is_available(address: Address) -> bool:
    """Whether the source has the file. Raises what `_head` raises."""
    return _head(address).status not in NOT_THERE


def is_same_etag(one: str, other: str) -> bool:
    """Whether the ETags name one version, be it by a weak ETag, or by that of a compressed answer."""
    plain = [DRESSED_ETAG.fullmatch(each.strip()) for each in (one, other)]
    return one == other or (all(plain) and plain[0][1] == plain[1][1] != "")  # type: ignore[index]


def is_unchanged(address: Address, file: FileVersion) -> bool:
    """Whether the source still has the bytes of this file.

    The same ETag is enough, and where one of the two answers has none, the same time of the last change and length. All
    else says nothing for certain: servers have another ETag on each of their nodes, or the length of a compressed
    answer. The file is downloaded again then, and its bytes are compared. Raises what `_head` and `download` raise,
    except for FileUnavailable.
    """
    now = _head(address)
    if now.status in NOT_THERE:
        return False
    if now.etag and file.etag:
        says_so = is_same_etag(now.etag, file.etag)
    else:
        date = file.last_modified if isinstance(file, Download) else None
        says_so = date is not None and (now.last_modified, now.length) == (date, file.bytes)
    return says_so or has_bytes(address, file.sha256)


def has_bytes(address: Address, sha256: str) -> bool:
    """Whether the source's file, which is downloaded, has this SHA-256. Raises what `download` raises, except for
    FileUnavailable."""
    try:
        with download(address) as file:
            return file.sha256 == sha256
    except FileUnavailable:
        return False


def require_unchanged(file: Download) -> None:
    """Raises FileChanged if the source has another version of the file now, and what `is_unchanged` raises."""
    if not is_unchanged(file.address, file):
        raise FileChanged(f"{file.url} was replaced while it was being loaded. Nothing was changed; load it again.")


@contextmanager
def download(address: Address) -> Iterator[Download]:
    """Streams the file to a temporary file without a name, which is gone when the context or the process ends.

    Raises FileUnavailable on 403 and 404, requests.RequestException on anything that may heal (connection trouble, a
    transfer cut short, 5xx, 429), DownloadError past MAX_BYTES or MAX_SECONDS.
    """
    with tempfile.TemporaryFile() as file:

        def save(response: requests.Response) -> dict[str, Any]:
            digest, size = _save(response, file, address)
            names = {"etag": "ETag", "content_type": "Content-Type", "last_modified": "Last-Modified"}
            headers = {name: response.headers.get(header) for name, header in names.items()}
            return {"sha256": digest, "bytes": size, **headers}

        with Client(address) as client:
            try:
                facts = client.get(address, save)
            except requests.HTTPError as error:
                if error.response is None or error.response.status_code not in NOT_THERE:
                    raise
                raise FileUnavailable(
                    f"{address} answered {error.response.status_code}: the file is not available, or the address is "
                    "wrong. Open it in a browser; check the Airflow variable tlc_base_url."
                ) from None
        file.seek(0)
        yield Download(file=file, address=address, url=address.shown, **facts)


def _head(address: Address) -> Answer:
    """The source's answer that it has the file, or that the file is not there.

    Raises requests.RequestException where there is no such answer (connection trouble, 5xx, 429).
    """
    with Client(address) as client:
        answer = client.head(address)
    if answer.status >= 400 and answer.status not in NOT_THERE:
        raise http_error(address, answer)
    return answer


def _save(response: requests.Response, file: BinaryIO, address: Address) -> tuple[str, int]:
    digest, size, deadline = hashlib.sha256(), 0, time.monotonic() + MAX_SECONDS
    for chunk in response.iter_content(CHUNK_BYTES):
        size += len(chunk)
        if size > MAX_BYTES:
            raise DownloadError(f"{address} is larger than {MAX_BYTES:,} bytes, the most this project loads")
        if time.monotonic() > deadline:
            raise DownloadError(f"{address} was not complete after {MAX_SECONDS} seconds ({counted(size, 'byte')})")
        digest.update(chunk)
        file.write(chunk)
    return digest.hexdigest(), size
