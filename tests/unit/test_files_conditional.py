"""Preconditions: every case of the RFC's order of precedence, and the entity tags they compare (RFC 9110 13)."""

import pytest

from trickleweb.files.conditional import (
    Conditions,
    ETag,
    Precondition,
    Validators,
    judge,
    matches_strongly,
    matches_weakly,
    parse_etag,
    parse_etags,
    range_applies,
)

NOW_S = 1_700_000_000
MODIFIED_S = 784_111_777
AT = "Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT"
AFTER = "Sun, 06 Nov 1994 08:49:38 GMT"
CURRENT = Validators('"now"', MODIFIED_S)
PROCEED, NOT_MODIFIED, FAILED = Precondition


@pytest.mark.parametrize(
    ("conditions", "verdict"),
    [
        (Conditions(), PROCEED),
        # If-Match
        (Conditions(if_match='"now"'), PROCEED),
        (Conditions(if_match='"old", "now"'), PROCEED),
        (Conditions(if_match="*"), PROCEED),
        (Conditions(if_match='"old"'), FAILED),
        (Conditions(if_match='W/"now"'), FAILED),
        (Conditions(if_match="now"), FAILED),
        (Conditions(if_match=""), FAILED),
        # If-Unmodified-Since, which If-Match overrides
        (Conditions(if_unmodified_since=AT), PROCEED),
        (Conditions(if_unmodified_since=AFTER), PROCEED),
        (Conditions(if_unmodified_since=BEFORE), FAILED),
        (Conditions(if_unmodified_since="yesterday"), PROCEED),
        (Conditions(if_match='"now"', if_unmodified_since=BEFORE), PROCEED),
        (Conditions(if_match='"old"', if_unmodified_since=AFTER), FAILED),
        # If-None-Match
        (Conditions(if_none_match='"now"'), NOT_MODIFIED),
        (Conditions(if_none_match='W/"now"'), NOT_MODIFIED),
        (Conditions(if_none_match='"old", W/"now"'), NOT_MODIFIED),
        (Conditions(if_none_match="*"), NOT_MODIFIED),
        (Conditions(if_none_match='"old"'), PROCEED),
        (Conditions(if_none_match="now"), PROCEED),
        # If-Modified-Since, which If-None-Match overrides
        (Conditions(if_modified_since=AT), NOT_MODIFIED),
        (Conditions(if_modified_since=AFTER), NOT_MODIFIED),
        (Conditions(if_modified_since=BEFORE), PROCEED),
        (Conditions(if_modified_since="Sunday, 06-Nov-94 08:49:37 GMT"), NOT_MODIFIED),
        (Conditions(if_modified_since="Sun Nov  6 08:49:37 1994"), NOT_MODIFIED),
        (Conditions(if_modified_since="1994-11-06"), PROCEED),
        (Conditions(if_none_match='"old"', if_modified_since=AFTER), PROCEED),
        (Conditions(if_none_match='"now"', if_modified_since=BEFORE), NOT_MODIFIED),
        # the first group decides before the second is looked at
        (Conditions(if_match='"old"', if_none_match='"now"'), FAILED),
        (Conditions(if_match='"now"', if_none_match='"now"'), NOT_MODIFIED),
        (Conditions(if_unmodified_since=BEFORE, if_none_match='"now"'), FAILED),
        (Conditions(if_unmodified_since=AFTER, if_modified_since=AFTER), NOT_MODIFIED),
        # If-Range is no precondition
        (Conditions(if_range='"old"'), PROCEED),
    ],
)
def test_the_order_of_precedence(conditions: Conditions, verdict: Precondition) -> None:
    assert judge(conditions, CURRENT, now_s=NOW_S) is verdict


@pytest.mark.parametrize("date", [BEFORE, AT, AFTER])
def test_dates_say_nothing_where_the_time_is_not_known(date: str) -> None:
    unknown = Validators('"now"')
    assert judge(Conditions(if_modified_since=date), unknown, now_s=NOW_S) is PROCEED
    assert judge(Conditions(if_unmodified_since=date), unknown, now_s=NOW_S) is PROCEED
    assert not range_applies(date, unknown, now_s=NOW_S)


@pytest.mark.parametrize(
    ("if_range", "applies"),
    [
        (None, True),
        ('"now"', True),
        ('"old"', False),
        ('W/"now"', False),
        ("*", False),
        ('"now", "old"', False),
        (AT, True),
        (BEFORE, False),
        (AFTER, False),
        ("Sun Nov  6 08:49:37 1994", True),
        ("now", False),
        ("", False),
    ],
)
def test_a_range_counts_only_for_exactly_the_version_named(if_range: str | None, applies: bool) -> None:
    assert range_applies(if_range, CURRENT, now_s=NOW_S) is applies


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ('"a"', (ETag("a"),)),
        ('W/"a"', (ETag("a", weak=True),)),
        ('"a", W/"b" ,"c"', (ETag("a"), ETag("b", weak=True), ETag("c"))),
        (' ,, "a,b" ,\t', (ETag("a,b"),)),
        ('""', (ETag(""),)),
        ('"\xe9"', (ETag("\xe9"),)),
        ("", ()),
        ("a", ()),
        ('"a" "b"', ()),
        ('"a", b', ()),
        ('"a', ()),
        ('w/"a"', ()),
        ('W/ "a"', ()),
        ('"a b"', ()),
        ('"\u20ac"', ()),
    ],
)
def test_lists_of_tags(text: str, tags: tuple[ETag, ...]) -> None:
    assert parse_etags(text) == tags


def test_one_tag_is_not_a_list() -> None:
    assert parse_etag('W/"a"') == ETag("a", weak=True)
    assert parse_etag('"a", "b"') is None
    assert parse_etag("*") is None


@pytest.mark.parametrize(
    ("left", "right", "strongly", "weakly"),
    [  # the table of RFC 9110 8.8.3.2; the site's own tags are always strong
        ('W/"1"', '"1"', False, True),
        ('"1"', '"1"', True, True),
        ('W/"2"', '"1"', False, False),
        ('"2"', '"1"', False, False),
    ],
)
def test_the_two_ways_to_compare(left: str, right: str, strongly: bool, weakly: bool) -> None:
    assert matches_strongly(left, right) is strongly
    assert matches_weakly(left, right) is weakly


def test_a_hostile_list_takes_linear_time_and_matches_nothing() -> None:
    assert parse_etags('"a",' * 100_000 + "x") == ()
    assert parse_etags(" " * 1_000_000 + "x") == ()
