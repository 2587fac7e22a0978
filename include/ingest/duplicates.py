"""Refuses a month's file that is, byte for byte, the file of another month."""

from __future__ import annotations

import logging

from include.month import Month
from include.source.address import Address
from include.source.download import FileVersion, is_unchanged
from include.source.reader import FileContentError
from include.warehouse.session import Warehouse

log = logging.getLogger(__name__)


def refuse_another_months_file(
    warehouse: Warehouse, table: str, month: Month, file: FileVersion, base_url: Address
) -> None:
    """Raises FileContentError if another month was loaded from the same bytes, and the source still has them for it.

    If the source now has another file for that month, the two files may have been swapped, and corrected since. Of two
    months with the same bytes that are loaded at once, the second waits here until the first is committed, and sees it.
    Raises what `is_unchanged` raises.
    """
    warehouse.lock(table, file.sha256)
    others = warehouse.execute(
        "select to_char(source_month, 'YYYY-MM'), url, etag, bytes from {schema}.load_log "
        "where table_name = $1 and sha256 = $2 and source_month <> $3::text::date",
        values=(table, file.sha256, month.ds),
    )
    for other, url, etag, size in others:
        address = base_url.of(url)
        if not is_unchanged(address, FileVersion(url=address.shown, etag=etag, sha256=file.sha256, bytes=size)):
            log.warning("%s was loaded from these bytes. The source has another file for it now: load it again", other)
            continue
        raise FileContentError(
            f"{file.url} is, byte for byte, the file that {other} was loaded from ({address}): one of the two months "
            f"has the other's file. Look at the dates in it. If they are of {other}, wait for the right file of "
            f"{month}, then clear this task. If they are of {month}, load {other} again first, once its own file is up."
        )
