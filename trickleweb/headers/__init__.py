"""Header fields and the dates in them, as values."""

from trickleweb.headers.dates import format_date, parse_date
from trickleweb.headers.fields import NO_HEADERS, Headers, Pair

__all__ = ["NO_HEADERS", "Headers", "Pair", "format_date", "parse_date"]
