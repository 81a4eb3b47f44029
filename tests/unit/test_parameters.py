"""Values with parameters: read in one way, or refused."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickleweb.parameters import parse_parameters, quoted

READ = [
    ("text/plain", "text/plain", {}),
    (" Text/HTML ; Charset=UTF-8 ", "text/html", {"charset": "UTF-8"}),
    ('form-data; name="a b"; filename=x.txt', "form-data", {"name": "a b", "filename": "x.txt"}),
    (r'form-data; name="a\"b\\c\d"', "form-data", {"name": r'a"b\c\d'}),
    (r'form-data; name="C:\temp\new.txt"', "form-data", {"name": r"C:\temp\new.txt"}),
    ("a;;b=1; ;", "a", {"b": "1"}),
    ('a; b=""', "a", {"b": ""}),
    ("a; filename*=utf-8''x", "a", {"filename*": "utf-8''x"}),
]


@pytest.mark.parametrize(("text", "value", "parameters"), READ)
def test_it_is_read(text: str, value: str, parameters: dict[str, str]) -> None:
    assert parse_parameters(text) == (value, parameters)


@pytest.mark.parametrize(
    "text",
    [
        *("", ";", "a b", "a/b/c", "a; b", "a; b=", 'a; b="', 'a; b="x"y', "a; b = c", "a; b=1; B=2", "a, b", "ä"),
        *("a;b=ä", "a" + ";x" * 5, "a" + "".join(f";p{i}=1" for i in range(17))),
    ],
)
def test_it_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"parameter|no value"):
        parse_parameters(text)


@pytest.mark.parametrize(
    "text", ["a" + " " * 200_000, "a;" + " " * 200_000 + "x", 'a; b="' + "\\" * 200_000, "a" + ";" * 200_000]
)
def test_long_nonsense_takes_linear_time(text: str) -> None:
    with suppress(ValueError):
        parse_parameters(text)


@given(st.text().filter(str.isprintable))
def test_what_is_quoted_reads_as_the_same(text: str) -> None:
    assert parse_parameters(f"a; b={quoted(text)}").parameters["b"] == text


@pytest.mark.parametrize("text", ["a\r\nb", "a\0", "\x7f"])
def test_a_control_character_is_never_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        quoted(text)
