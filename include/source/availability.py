"""Says whether a month's file is available yet, and when waiting for it is in vain."""

from __future__ import annotations

from datetime import datetime

from include.datasets import Dataset
from include.month import Month
from include.source.address import Address
from include.source.download import is_available
from include.support.counted import counted


class MonthUnavailable(Exception):
    """Waiting for the month is in vain. The message says why and what to do."""


def month_is_available(dataset: Dataset, month: Month, base_url: Address, now: datetime) -> bool:
    """True once the month's file is there, False while it may still come.

    `now` is an aware time, in the time zone of months. Raises MonthUnavailable for a month before the dataset's first,
    in the future or long overdue, and requests.RequestException where the source gives no answer.
    """
    address = base_url.below(dataset.monthly.path.format(month=month))
    if month < dataset.first_month:
        raise MonthUnavailable(
            f"{month} is before {dataset.first_month}, {dataset.why_not_earlier}. Ask for a later one."
        )
    if month.first_day > now.date():
        raise MonthUnavailable(f"{month} lies in the future: today is {now:%Y-%m-%d}. Trigger it after it has ended.")
    if is_available(address):
        return True
    if now > month.end + dataset.overdue_after:
        raise MonthUnavailable(
            f"{address} is not there, {counted((now - month.end).days, 'day')} after the month ended. "
            f"Open the URL in a browser; check the Airflow variable {dataset.host.variable}; then clear this task."
        )
    return False
