"""Names with many values, plain forms, and the names of uploaded files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickleweb.errors import HTTPError
from trickleweb.forms import Form, FormLimits, Upload, parse_urlencoded, render_urlencoded
from trickleweb.multidict import MissingField, MultiDict


def test_names_have_many_values_in_order() -> None:
    pairs = MultiDict((("a", 1), ("b", 2), ("a", 3)))
    assert (pairs["a"], pairs.get("a"), pairs.all("a"), pairs.all("c")) == (1, 1, (1, 3), ())
    assert (pairs.get("c"), pairs.get("c", 9)) == (None, 9)
    assert list(pairs) == ["a", "b"]
    assert len(pairs) == 2
    assert "a" in pairs
    assert "c" not in pairs


def test_a_missing_field_is_the_clients_error() -> None:
    with pytest.raises(MissingField) as caught:
        Form()["x" * 5000]
    assert isinstance(caught.value, HTTPError)
    assert caught.value.status == 400
    assert len(caught.value.reason) < 150


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
    )
)
def test_what_is_rendered_reads_as_the_same(pairs: list[tuple[str, str]]) -> None:
    assert parse_urlencoded(render_urlencoded(pairs).encode()).pairs == tuple(pairs)


@pytest.mark.parametrize(
    ("data", "pairs"),
    [
        (b"", ()),
        (b"&&", ()),
        (b"a", (("a", ""),)),
        (b"=b", (("", "b"),)),
        (b"a=1&a=2", (("a", "1"), ("a", "2"))),
        (b"a=b=c;d", (("a", "b=c;d"),)),
        (b"q=x+y%20z%2B", (("q", "x y z+"),)),
        ("q=größe".encode(), (("q", "größe"),)),
        (b"a=%", (("a", "%"),)),
        (b"a=%zz%4", (("a", "%zz%4"),)),
        (b"%00=%0d%0a", (("\0", "\r\n"),)),
    ],
)
def test_plain_forms_are_read_as_browsers_mean_them(data: bytes, pairs: tuple[tuple[str, str], ...]) -> None:
    assert parse_urlencoded(data).pairs == pairs


@pytest.mark.parametrize("data", [b"a=\xff", b"a=%ff", b"%c3=1", b"a=%ed%a0%80", b"a=%c0%80"])
def test_what_is_not_utf8_is_refused(data: bytes) -> None:
    with pytest.raises(HTTPError, match="400 A field is not UTF-8") as caught:
        parse_urlencoded(data)
    assert caught.value.status == 400


def test_fields_are_counted_and_measured() -> None:
    limits = FormLimits(max_fields=3, max_field_bytes=10)
    assert len(parse_urlencoded(b"a=1&b=2&c=3", limits)) == 3
    for data in (b"a=1&b=2&c=3&d=4", b"a=" + b"x" * 9, b"&" * 1_000_000):
        with pytest.raises(HTTPError) as caught:
            parse_urlencoded(data, limits)
        assert caught.value.status == 413


@pytest.mark.parametrize(
    ("filename", "safe"),
    [
        ("photo.jpg", "photo.jpg"),
        ("../../etc/passwd", "passwd"),
        (r"C:\temp\new.txt", "new.txt"),
        ("a/b/", ""),
        ("..", ""),
        (".bashrc", "bashrc"),
        ("a\0b\r\n\x85c.txt", "abc.txt"),
        ("trailing. ", "trailing"),
        ("ü" * 300, "ü" * 100),
        ("\ud800x", "x"),
        ("", ""),
    ],
)
def test_a_file_name_can_be_made_safe(filename: str, safe: str) -> None:
    assert Upload(filename, "text/plain", b"").safe_name == safe
