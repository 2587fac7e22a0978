"""Whether TLC has made a month available yet, and when to stop waiting for it."""

from __future__ import annotations

from datetime import datetime, timedelta

from include.download import is_available
from include.month import FIRST_MONTH, Month

# TLC puts a month up about two months after its end. One that is not there after half a year is not
# late: the address is wrong, or TLC has withdrawn it (the answer, 403, is the same).
OVERDUE_AFTER = timedelta(days=180)


class MonthUnavailable(Exception):
    """The month will not appear by waiting. The message says why and what to do."""


def month_is_available(month: Month, base_url: str, now: datetime) -> bool:
    """True once the month's file is there, False while it may still come; `now` is an aware time in the zone of months.

    Raises MonthUnavailable for a month before the dataset's first, in the future or long overdue, and
    requests.RequestException where the source gives no answer.
    """
    url = month.parquet_url(base_url)
    if month < FIRST_MONTH:
        raise MonthUnavailable(
            f"{month} is before {FIRST_MONTH}, the first month of green-taxi trips. Ask for a later one."
        )
    if month.first_day > now.date():
        raise MonthUnavailable(f"{month} lies in the future: today is {now:%Y-%m-%d}. Trigger it after it has ended.")
    if is_available(url):
        return True
    if now > month.end + OVERDUE_AFTER:
        raise MonthUnavailable(
            f"{url} is not there, {(now - month.end).days} days after the month ended (TLC takes about 60). "
            "Open the URL in a browser; check the Airflow variable tlc_base_url; then clear this task."
        )
    return False
