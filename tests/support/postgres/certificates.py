"""Certificates of an authority of our own, for servers and clients of the tests."""

from __future__ import annotations

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Pair:
    """PEM files; the key is its owner's alone, as libpq demands."""

    certificate: Path
    key: Path


class Authority:
    """`certificate`: the authority's own, which `sslrootcert` names."""

    def __init__(self, folder: Path) -> None:
        self.certificate = folder / "authority.crt"
        self._folder, self._authority = folder, trustme.CA()
        self._authority.cert_pem.write_to_path(self.certificate)

    def client(self, role: str) -> Pair:
        """A certificate for this role of the database."""
        issued = self._authority.issue_cert(role, common_name=role)
        pair = Pair(self._folder / f"{role}.crt", self._folder / f"{role}.key")
        pair.key.touch(0o600)
        issued.private_key_pem.write_to_path(pair.key)
        issued.cert_chain_pems[0].write_to_path(pair.certificate)
        return pair

    def server(self, name: str = "localhost", expired: bool = False, clients: Path | None = None) -> ssl.SSLContext:
        """TLS of a server under this name; with `clients`, an authority's certificate, it requires theirs."""
        yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(name, not_after=yesterday if expired else None).configure_cert(context)
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(clients)
        return context
