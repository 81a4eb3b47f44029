"""Plain values come back the same, or are refused where they are put in."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickleweb.plain import NotPlain, Plain, dump_plain, load_plain

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
PLAIN: st.SearchStrategy[Plain] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=8
)


@given(PLAIN)
def test_a_plain_value_comes_back(value: Plain) -> None:
    back = load_plain(dump_plain(value))
    assert back == value
    assert dump_plain(back) == dump_plain(value)


def test_equal_dicts_make_equal_bytes() -> None:
    assert dump_plain({"b": 1, "a": [2]}) == dump_plain({"a": [2], "b": 1}) == b'{"a":[2],"b":1}'


deep: list[Any] = []
for _ in range(100_000):
    deep = [deep]


@pytest.mark.parametrize(
    "value",
    [
        (1, 2),
        {"a": (1,)},
        {1: 2},
        {None: 1},
        b"x",
        datetime.now(UTC),
        {1, 2},
        float("nan"),
        float("inf"),
        object(),
        "\ud800",
        deep,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_would_not_come_back_is_refused(value: object) -> None:
    with pytest.raises(NotPlain):
        dump_plain(value)


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{", b"nan", b"NaN", b"[Infinity]", b"-Infinity", b"1e999", b"\xff", b"\xef\xbb\xbf1", b"01", b"1 2"),
        *(b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000, "{}".encode("utf-16")),
    ],
    ids=lambda data: repr(data[:12]),
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - every kind of it means the same
        load_plain(data)
