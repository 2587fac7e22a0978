"""Where the trip files come from."""

import errno
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests

from dev.errors import StackError
from include.datasets import TLC, Dataset, parquet_url_for
from include.month import Month, MonthError

KINDS = ("folder", "url", "sample")
PROBE_SECONDS = 4
PROBE_DAY = "2024-01-01"


@dataclass(frozen=True)
class Source:
    """`folder` (of files in TLC's names), `url` (of a host laid out as TLC's) or `sample` (generated months)."""

    kind: str
    place: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS or not isinstance(self.place, str):
            raise StackError(f"There is no source of the kind {self.kind!r}.")

    def check(self) -> None:
        """Raises StackError where the folder of files is not there, or may not be read."""
        if self.kind != "folder":
            return
        try:
            next(Path(self.place).iterdir(), None)
        except OSError as error:
            why = "may not be read by this user" if error.errno == errno.EACCES else "there is no such folder"
            raise StackError(f"TLC_DIR={self.place}: {why}. Name another, or TLC_BASE_URL=<address>.") from None

    def consecutive_months(self, dataset: Dataset, most: int) -> list[Month]:
        """The longest series of consecutive months in a folder, `most` at most, of several the latest.

        Empty where the source is no folder.
        """
        there = sorted(self._months(dataset)) if self.kind == "folder" else []
        longest: list[Month] = []
        for month in there:
            series = [month]
            while len(series) < most and series[0].plus(-1) in there:
                series.insert(0, series[0].plus(-1))
            if len(series) >= len(longest):
                longest = series
        return longest

    def _months(self, dataset: Dataset) -> Iterator[Month]:
        before, after = Path(dataset.monthly.path).name.split("{month}")
        for file in Path(self.place).glob(f"{before}*{after}"):
            with suppress(MonthError):
                yield Month.parse(file.name.removeprefix(before).removesuffix(after))

    def __str__(self) -> str:
        return "generated sample months" if self.kind == "sample" else self.place

    @classmethod
    def asked(cls, environment: Mapping[str, str]) -> "Source | None":
        """The source that `TLC_DIR`, else `TLC_BASE_URL`, names. Raises StackError for a folder that is not there."""
        if folder := environment.get("TLC_DIR"):
            source = cls("folder", str(Path(folder).expanduser().absolute()))
            source.check()
            return source
        if url := environment.get("TLC_BASE_URL"):
            if not _is_web_address(url):
                raise StackError(f"TLC_BASE_URL={url}: an address that begins with http:// or https:// is needed.")
            return cls("url", url.rstrip("/"))
        return None

    @classmethod
    def found(cls, sample_folder: Path) -> "Source":
        """TLC's own host if it answers within seconds, else generated months in the folder."""
        try:
            answer = requests.head(parquet_url_for(PROBE_DAY), timeout=PROBE_SECONDS)
            reachable = answer.ok
        except requests.RequestException:
            reachable = False
        return cls("url", TLC.address) if reachable else cls("sample", str(sample_folder))


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in url
    except ValueError:  # a port that is no number, half of an IPv6 address
        return False
