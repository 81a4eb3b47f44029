"""HTTP dates (RFC 9110 5.6.7): one form written, three read. Seconds since 1970, UTC, without locales."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONG_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_DAY, _LONG_DAY, _MONTH = "|".join(_DAYS), "|".join(_LONG_DAYS), rf"(?P<month>{'|'.join(_MONTHS)})"
_CLOCK = r"(?P<hour>\d{2}):(?P<minute>\d{2}):(?P<second>\d{2})"
_FORMS = tuple(
    re.compile(form, re.ASCII)
    for form in (
        rf"(?:{_DAY}), (?P<day>\d{{2}}) {_MONTH} (?P<year>\d{{4}}) {_CLOCK} GMT",  # IMF-fixdate
        rf"(?:{_LONG_DAY}), (?P<day>\d{{2}})-{_MONTH}-(?P<year>\d{{2}}) {_CLOCK} GMT",  # RFC 850
        rf"(?:{_DAY}) {_MONTH} (?P<day>[ \d]\d) {_CLOCK} (?P<year>\d{{4}})",  # asctime
    )
)


@lru_cache(maxsize=4096)
def format_date(seconds: int) -> str:
    """Return a time as an IMF-fixdate, as in `Sun, 06 Nov 1994 08:49:37 GMT`; ValueError outside the years 1 to
    9999.
    """
    try:
        at = _EPOCH + timedelta(seconds=seconds)
    except OverflowError as exc:
        raise ValueError(f"no HTTP date for {seconds} seconds") from exc
    return f"{_DAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at.year:04} {at:%H:%M:%S} GMT"


def parse_date(text: str, *, now_seconds: int) -> int | None:
    """Return the seconds of a date in any of the three forms; None for other text, since the field is then ignored.

    `now_seconds` settles the two-digit year of RFC 850: one that seems over 50 years ahead is past.
    """
    match = next(filter(None, (form.fullmatch(text) for form in _FORMS)), None)
    if match is None:
        return None
    try:
        return _seconds(match, now_seconds)
    except (ValueError, OverflowError):
        return None


def _seconds(match: re.Match[str], now_seconds: int) -> int:
    day, hour, minute, second = (int(match[name]) for name in ("day", "hour", "minute", "second"))
    year, month = int(match["year"]), _MONTHS.index(match["month"]) + 1
    if len(match["year"]) == 2:
        year = _whole_year(year, now_seconds)
    # The grammar allows leap seconds; the count of seconds does not.
    at = datetime(year, month, day, hour, minute, min(second, 59) if second <= 60 else second, tzinfo=UTC)
    return (at - _EPOCH) // timedelta(seconds=1)


def _whole_year(short_year: int, now_seconds: int) -> int:
    this_year = (_EPOCH + timedelta(seconds=now_seconds)).year
    year = this_year - this_year % 100 + short_year
    if year > this_year + 50:
        return year - 100
    return year + 100 if year + 100 <= this_year + 50 else year
