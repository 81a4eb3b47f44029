"""Header fields and the dates in them, as values.

A name may have several values, in order; names are compared without case (RFC 9110 5). Dates are written in one form
and read in three (RFC 9110 5.6.7): seconds since 1970, UTC, without locales.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Headers:
    """An immutable list of (name, value) pairs, looked up by name without case."""

    pairs: tuple[Pair, ...] = ()
    _index: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the first value of `name`, else `default`."""
        values = self._values().get(name.lower())
        return values[0] if values else default

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of `name`, in the order sent."""
        return self._values().get(name.lower(), ())

    def joined(self, name: str) -> str | None:
        """Return all values of `name` as one comma-separated list, None if there is none (RFC 9110 5.3)."""
        values = self.all(name)
        return ", ".join(values) if values else None

    def tokens(self, name: str) -> tuple[str, ...]:
        """Return the comma-separated members of `name` in lower case, empty members dropped (RFC 9110 5.6.1)."""
        members = (member.strip(" \t").lower() for value in self.all(name) for member in value.split(","))
        return tuple(member for member in members if member)

    def with_pair(self, name: str, value: str) -> Headers:
        """Return these headers with `name` set to the single `value`."""
        return Headers((*self.without(name).pairs, (name, value)))

    def added(self, *pairs: Pair) -> Headers:
        """Return these headers followed by `pairs`."""
        return Headers((*self.pairs, *pairs))

    def without(self, *names: str) -> Headers:
        """Return these headers without the fields called one of `names`."""
        gone = {name.lower() for name in names}
        return Headers(tuple(pair for pair in self.pairs if pair[0].lower() not in gone))

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._values()

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def _values(self) -> dict[str, tuple[str, ...]]:
        """Return the index, built at the first lookup: many headers are only written."""
        if self._index or not self.pairs:
            return self._index
        index: dict[str, tuple[str, ...]] = {}
        for name, value in self.pairs:
            key = name.lower()
            index[key] = (*index.get(key, ()), value)
        self._index.update(index)
        return self._index


NO_HEADERS = Headers()


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
