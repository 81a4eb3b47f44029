"""Header fields as values: many to a name, in order, found in any case."""

from trickleweb.headers import Headers

HEADERS = Headers((("Accept", "a, B"), ("Host", "x"), ("accept", " ,c ,, D\t"), ("Empty", "")))


def test_a_name_is_found_in_any_case() -> None:
    assert HEADERS.get("ACCEPT") == "a, B"
    assert HEADERS.get("missing") is None
    assert HEADERS.get("missing", "d") == "d"
    assert HEADERS.get("empty") == ""
    assert "hOST" in HEADERS
    assert "hos" not in HEADERS
    assert "host" not in Headers()


def test_all_values_keep_their_order() -> None:
    assert HEADERS.all("Accept") == ("a, B", " ,c ,, D\t")
    assert HEADERS.all("missing") == ()
    assert HEADERS.joined("accept") == "a, B,  ,c ,, D\t"
    assert HEADERS.joined("missing") is None


def test_tokens_are_the_members_of_all_lists_in_lower_case() -> None:
    assert HEADERS.tokens("accept") == ("a", "b", "c", "d")
    assert HEADERS.tokens("empty") == ()
    assert HEADERS.tokens("missing") == ()


def test_pairs_come_back_as_they_were_given() -> None:
    assert list(HEADERS) == list(HEADERS.pairs)
    assert len(HEADERS) == 4


def test_changes_make_new_headers() -> None:
    changed = (
        HEADERS.with_pair("ACCEPT", "z").added(("Set-Cookie", "a=b"), ("Set-Cookie", "c=d")).without("host", "EMPTY")
    )
    assert changed.pairs == (("ACCEPT", "z"), ("Set-Cookie", "a=b"), ("Set-Cookie", "c=d"))
    assert len(HEADERS) == 4


def test_a_look_up_changes_nothing_that_shows() -> None:
    fresh = Headers(HEADERS.pairs)
    HEADERS.get("host")
    assert fresh == HEADERS
    assert hash(fresh) == hash(HEADERS)
    assert repr(fresh) == repr(HEADERS)
