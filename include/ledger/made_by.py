"""Says which version of the project's SQL made a month, and which models are others now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from include.transform.code_version import CodeVersion


@dataclass(frozen=True)
class MadeBy:
    """`present`: the version that a run would use now; None where the manifest is not whole, and no month is outdated.

    `models`: of earlier versions, the hash of each model, by name.
    """

    present: CodeVersion | None
    models: Mapping[str, Mapping[str, str]]

    def of_month(self, published: Mapping[str, Any] | None) -> dict[str, Any]:
        """What the ledger shows of a row of the published table of months; None for a month that is not published.

        `is_outdated`: whether another version made it, or one that is not known. `changed_models`: those that are
        others now, by name; None where that is not known.
        """
        version = (published or {}).get("code_version")
        is_outdated = bool(published and self.present and version != self.present.version)
        models = self.models.get(version or "")
        return {
            "code_version": version,
            "git_revision": (published or {}).get("git_revision"),
            "is_outdated": is_outdated,
            "changed_models": self.present.changed_since(models) if is_outdated and models and self.present else None,
        }
