"""An address on a server of files, without what is secret in it. Importable without Airflow."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, quote, unquote, urlsplit

# Airflow's logs would have each of a masked word's occurrences starred out. A short value of the query may be any word.
LEAST_MASKED = 8
UNKNOWN = "http://unknown.invalid"  # a name that nobody has, RFC 2606
NEEDED = "an address that begins with http:// or https:// is needed, with @, / and the like in a password as %40, %2F"


@dataclass(frozen=True)
class Address:
    """An address on a server of files, in two parts.

    `shown`: scheme, host, port and path, without a slash at the end. It alone is stored, logged and shown. `login`,
    user and password, and `query`, such as a signature, are needed to ask, may be secret, and are in no text of this
    object.
    """

    shown: str
    login: tuple[str, str] | None = field(default=None, repr=False)
    query: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> Address:
        """Raises ValueError, without the text, for one that is no address of a web server."""
        try:
            parts = urlsplit(text.strip())
            # an @ in the path: a password with a slash in it, or with what ends it
            is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
            is_address = is_address and "@" not in parts.path and not re.search(r"[\s\x00-\x1f\x7f]", text.strip())
        except ValueError:  # a port that is no number, half of an IPv6 address. Its message may quote a password
            is_address = False
        if not is_address:
            raise ValueError(NEEDED)
        login, at, host = parts.netloc.rpartition("@")
        user, _, password = login.partition(":")
        return cls(
            f"{parts.scheme}://{host}{parts.path.rstrip('/')}",
            (unquote(user), unquote(password)) if at else None,
            parts.query,
        )

    def __str__(self) -> str:
        return self.shown

    @property
    def host(self) -> str:
        """Without port and brackets."""
        return urlsplit(self.shown).hostname or ""

    def below(self, path: str) -> Address:
        """The address of a file below this one."""
        return replace(self, shown=f"{self.shown}/{path}")

    def of(self, shown: str) -> Address:
        """Another address: with this one's login and query if it is on the same server, else without.

        UNKNOWN for one that `parse` refuses: an earlier revision may have stored such.
        """
        try:
            other = Address.parse(shown)
        except ValueError:
            return Address(UNKNOWN)
        is_near = urlsplit(other.shown)[:2] == urlsplit(self.shown)[:2]
        return replace(self, shown=other.shown) if is_near else other

    def to_ask(self) -> str:
        """The URL with the query, and without the login."""
        return f"{self.shown}?{self.query}" if self.query else self.shown

    def secrets(self) -> set[str]:
        """What no text may hold: the query and its longer values, the password, and a user without one; as written in
        an address, and decoded."""
        user, password = self.login or ("", "")
        words = {self.query, password or user}
        words |= {value for _, value in parse_qsl(self.query) if len(value) >= LEAST_MASKED}
        return {form for word in words if word for form in (word, quote(word, safe=""), quote(word))}
