"""Choosing by the client's preferences: weights, content codings, media types (RFC 9110 12.4, 12.5)."""

import pytest

from trickleweb.files.listing import wants_json
from trickleweb.files.qvalues import MAX_MEMBERS, media_weight, preferences
from trickleweb.files.representations import Variant
from trickleweb.files.respond import choose

PLAIN = Variant("plain", '"p"', 1000, None)
BR = Variant("br", '"b"', 100, None, "br")
ZSTD = Variant("zstd", '"z"', 120, None, "zstd")
GZIP = Variant("gzip", '"g"', 150, None, "gzip")


@pytest.mark.parametrize(
    ("value", "weights"),
    [
        ("", {}),
        ("gzip", {"gzip": 1000}),
        ("gzip;q=0.5, br ; Q=1.000,", {"gzip": 500, "br": 1000}),
        ("text/html;level=1;q=0.25", {"text/html": 250}),
        ("a;q=0", {"a": 0}),
        ("a;q=0.001", {"a": 1}),
        ("a;q=1.", {"a": 1000}),
        ("a;q=.5", {"a": 0}),
        ("a;q=1.001", {"a": 0}),
        ("a;q=0.0001", {"a": 0}),
        ("a;q=2", {"a": 0}),
        ("a;q=-1", {"a": 0}),
        ("a;q=", {"a": 0}),
        ("a;q=nan", {"a": 0}),
        ("a;q=0.5, a;q=0.9", {"a": 500}),
        (";q=1, a", {"a": 1000}),
    ],
)
def test_weights(value: str, weights: dict[str, int]) -> None:
    assert preferences(value) == weights


def test_an_endless_list_is_read_to_a_bound() -> None:
    assert len(preferences(",".join(f"x{number}" for number in range(10_000)))) == MAX_MEMBERS


@pytest.mark.parametrize(
    ("accept_encoding", "chosen"),
    [
        (None, PLAIN),
        ("", PLAIN),
        ("identity", PLAIN),
        ("deflate", PLAIN),
        ("gzip", GZIP),
        ("x-gzip", GZIP),
        ("GZIP", GZIP),
        ("gzip, deflate, br, zstd", BR),
        ("gzip, zstd", ZSTD),
        ("gzip;q=1.0, br;q=0.9", GZIP),
        ("gzip;q=0, br;q=0", PLAIN),
        ("*", BR),
        ("*, br;q=0", ZSTD),
        ("*;q=0.1, gzip", GZIP),
        ("*;q=0", PLAIN),
        ("gzip;q=0.5, identity", PLAIN),
        ("gzip;q=0.5, identity;q=0.5", GZIP),
        ("gzip, identity;q=0", GZIP),
        ("identity;q=0", PLAIN),
    ],
)
def test_codings(accept_encoding: str | None, chosen: Variant) -> None:
    assert choose((PLAIN, BR, ZSTD, GZIP), accept_encoding) == chosen


def test_among_equals_the_smallest_wins_and_then_the_first() -> None:
    small = Variant("gzip", '"g"', 90, None, "gzip")
    same = Variant("gzip", '"g"', 100, None, "gzip")
    assert choose((PLAIN, BR, small), "br, gzip") == small
    assert choose((PLAIN, BR, same), "gzip, br") == BR


@pytest.mark.parametrize(
    ("accept", "html", "json"),
    [
        (None, 1000, 1000),
        ("*/*", 1000, 1000),
        ("application/json", 0, 1000),
        ("text/html,application/xhtml+xml,*/*;q=0.8", 1000, 800),
        ("application/*;q=0.5, text/html;q=0.2", 200, 500),
        ("image/png", 0, 0),
    ],
)
def test_media_types(accept: str | None, html: int, json: int) -> None:
    assert media_weight(accept, "text/html") == html
    assert media_weight(accept, "application/json") == json
    assert wants_json(accept) is (json > html)
