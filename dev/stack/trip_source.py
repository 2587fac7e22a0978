"""Where the trip files come from."""

import errno
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import requests

from dev.errors import StackError
from include.datasets import GREEN, TLC, Dataset
from include.month import Month, MonthError
from include.source.address import Address
from include.source.client import Client

KINDS = ("folder", "url", "sample")
PROBE_SECONDS = 4.0
PROBE_MONTH = "2024-01"


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
        """Without what is secret in an address."""
        if self.kind == "url":
            return Address.parse(self.place).shown
        return "generated sample months" if self.kind == "sample" else self.place

    @classmethod
    def asked(cls, environment: Mapping[str, str]) -> "Source | None":
        """The source that `TLC_DIR`, else `TLC_BASE_URL`, names. Raises StackError for a folder that is not there."""
        if folder := environment.get("TLC_DIR"):
            source = cls("folder", str(Path(folder).expanduser().absolute()))
            source.check()
            return source
        if url := environment.get("TLC_BASE_URL"):
            try:
                Address.parse(url)
            except ValueError as error:  # without the address, which may hold a password
                raise StackError(f"TLC_BASE_URL: {error}.") from None
            return cls("url", url)
        return None

    @classmethod
    def found(cls, sample_folder: Path) -> "Source":
        """TLC's own host if it answers within seconds, else generated months in the folder."""
        address = Address.parse(TLC.address)
        try:
            with Client(address, (PROBE_SECONDS, PROBE_SECONDS)) as client:
                status = client.head(address.below(GREEN.monthly.path.format(month=PROBE_MONTH))).status
        except requests.RequestException:
            status = None
        return cls("url", TLC.address) if status == requests.codes.ok else cls("sample", str(sample_folder))
