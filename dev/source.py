"""Where the trip files come from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import requests

from dev.errors import StackError
from include.month import TLC_CDN, Month

PROBE_SECONDS = 4
PROBE_MONTH = "2024-01"


@dataclass(frozen=True)
class Source:
    """`folder` (of files in TLC's names), `url` (of a host laid out as TLC's) or `sample` (generated months)."""

    kind: str
    place: str

    def __str__(self) -> str:
        return "generated sample months" if self.kind == "sample" else self.place

    @classmethod
    def asked(cls, environment: Mapping[str, str]) -> "Source | None":
        """What `TLC_DIR`, else `TLC_BASE_URL`, name. Raises StackError for a folder that is not there."""
        if folder := environment.get("TLC_DIR"):
            place = Path(folder).expanduser().absolute()
            if not place.is_dir():
                raise StackError(f"TLC_DIR={folder}: there is no such folder.")
            return cls("folder", str(place))
        if url := environment.get("TLC_BASE_URL"):
            if not url.startswith(("http://", "https://")):
                raise StackError(f"TLC_BASE_URL={url}: an address that begins with http:// or https:// is needed.")
            return cls("url", url.rstrip("/"))
        return None

    @classmethod
    def found(cls, sample_folder: Path) -> "Source":
        """TLC's own host if it answers within seconds, else generated months in the folder."""
        try:
            answer = requests.head(Month.parse(PROBE_MONTH).parquet_url(TLC_CDN), timeout=PROBE_SECONDS)
            reachable = answer.ok
        except requests.RequestException:
            reachable = False
        return cls("url", TLC_CDN) if reachable else cls("sample", str(sample_folder))
