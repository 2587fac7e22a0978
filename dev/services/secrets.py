"""The stack's passwords and keys, generated once per state folder."""

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from dev.errors import StackError
from dev.system.files import write_private

# A stack that was made by an earlier version lacks these.
ADDED_LATER = ("celery", "broker", "developer")


@dataclass(frozen=True)
class StackSecrets:
    """Passwords hold only characters that need no quoting in a URI."""

    postgres: str
    airflow: str
    pipeline: str
    analyst: str
    admin: str
    fernet_key: str
    jwt_secret: str
    api_secret_key: str
    celery: str
    broker: str
    developer: str

    @classmethod
    def of(cls, state: Path) -> "StackSecrets":
        """The state folder's secrets, from its `secrets.json` (0600); the first call generates them.

        Raises StackError where they are damaged, or are gone and the database they open is there.
        """
        file = state / "secrets.json"
        anew = f"make down, remove {state / 'postgres'} and this file: all loaded months and run histories go with it"
        if file.exists():
            try:
                stored = json.loads(file.read_text())
                missing = {name: secrets.token_urlsafe(24) for name in ADDED_LATER if name not in stored}
                known = cls(**stored, **missing)
            except (ValueError, TypeError):  # without its text: it holds passwords
                raise StackError(
                    f"{file} is damaged, and holds the passwords of this stack's Postgres. Bring it back; "
                    f"or begin anew: {anew}."
                ) from None
            if missing:
                write_private(file, json.dumps(asdict(known), indent=2) + "\n")
            return known
        if (state / "postgres" / "data" / "PG_VERSION").exists():
            raise StackError(
                f"{file} is gone, and holds the passwords of this stack's Postgres. Bring it back; "
                f"or begin anew: {anew}."
            )
        accounts = ("postgres", "airflow", "pipeline", "analyst", "admin", *ADDED_LATER)
        passwords = {name: secrets.token_urlsafe(24) for name in accounts}
        generated = cls(
            **passwords,
            fernet_key=base64.urlsafe_b64encode(os.urandom(32)).decode(),
            jwt_secret=secrets.token_urlsafe(64),
            api_secret_key=secrets.token_urlsafe(32),
        )
        write_private(file, json.dumps(asdict(generated), indent=2) + "\n")
        return generated
