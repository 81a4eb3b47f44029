"""Dates: the example of RFC 9110 5.6.7 in its three forms, the edges of the calendar, and what is no date."""

from datetime import UTC, datetime

import pytest

from trickleweb.headers import format_date, parse_date

EXAMPLE = 784111777
NOW = int(datetime(2024, 7, 1, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    "text", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_the_three_forms_say_the_same(text: str) -> None:
    assert parse_date(text, now_seconds=NOW) == EXAMPLE


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (EXAMPLE, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
        (951782400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (2**31, "Tue, 19 Jan 2038 03:14:08 GMT"),
        (253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (-62135596800, "Mon, 01 Jan 0001 00:00:00 GMT"),
    ],
)
def test_a_time_is_written_as_imf_fixdate(seconds: int, text: str) -> None:
    assert format_date(seconds) == text
    assert parse_date(text, now_seconds=NOW) == seconds


@pytest.mark.parametrize("seconds", [253402300800, -62135596801, 10**20])
def test_a_time_beyond_the_calendar_has_no_text(seconds: int) -> None:
    with pytest.raises(ValueError, match="date"):
        format_date(seconds)


@pytest.mark.parametrize(("short", "year"), [("24", 2024), ("74", 2074), ("75", 1975), ("99", 1999), ("00", 2000)])
def test_a_short_year_is_never_over_50_years_ahead(short: str, year: int) -> None:
    found = parse_date(f"Monday, 01-Jan-{short} 00:00:00 GMT", now_seconds=NOW)
    assert found == int(datetime(year, 1, 1, tzinfo=UTC).timestamp())


def test_a_short_year_may_belong_to_the_next_century() -> None:
    found = parse_date("Monday, 01-Jan-10 00:00:00 GMT", now_seconds=int(datetime(2090, 1, 1, tzinfo=UTC).timestamp()))
    assert found == int(datetime(2110, 1, 1, tzinfo=UTC).timestamp())


def test_a_leap_second_is_the_second_before() -> None:
    assert parse_date("Sat, 31 Dec 2016 23:59:60 GMT", now_seconds=NOW) == 1483228799


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "tomorrow",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "sun, 06 nov 1994 08:49:37 gmt",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT\n",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Tue, 29 Feb 1900 00:00:00 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov \u0661\u0669\u0669\u0664 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov 06 1994 08:49:37",
        "1994-11-06T08:49:37Z",
    ],
)
def test_anything_else_is_no_date(text: str) -> None:
    assert parse_date(text, now_seconds=NOW) is None
