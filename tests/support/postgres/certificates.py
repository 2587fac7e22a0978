"""Certificates of an authority of our own, for servers and clients of the tests."""

from __future__ import annotations

import datetime
import ssl
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """PEM files; the key is its owner's alone, as libpq demands."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Authority:
    folder: Path
    name: str

    @cached_property
    def certificate(self) -> Path:
        """Its own certificate, what `sslrootcert` names."""
        return self._files.certificate

    def issue(self, name: str, expired: bool = False) -> Pair:
        """A certificate for this host (`localhost`) or this role of the database (`pipeline`)."""
        return self._write(name, self._name, self._key, datetime.timedelta(0) if expired else DAY)

    def server(self, name: str = "localhost", expired: bool = False, clients: Path | None = None) -> ssl.SSLContext:
        """TLS of a server under this name; with `clients`, an authority's certificate, it requires theirs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued = self.issue(name, expired)
        context.load_cert_chain(issued.certificate, issued.key)
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(clients)
        return context

    @cached_property
    def _key(self) -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(ec.SECP256R1())

    @cached_property
    def _name(self) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])

    @cached_property
    def _files(self) -> Pair:
        return self._write(self.name, self._name, None, DAY)

    def _write(
        self, name: str, issuer: x509.Name, signer: ec.EllipticCurvePrivateKey | None, valid: datetime.timedelta
    ) -> Pair:
        """Valid from two days ago until yesterday, and twice `valid` more. Without a signer: the authority's own."""
        key = ec.generate_private_key(ec.SECP256R1()) if signer else self._key
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 2 * DAY)
            .not_valid_after(now - DAY + 2 * valid)
            .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(signer or key, hashes.SHA256())
        )
        pair = Pair(self.folder / f"{self.name}-{name}-{valid.days}.crt", self.folder / f"{self.name}-{name}.key")
        pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pair.key.touch(0o600)
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return pair
