"""Path parameters: what each kind takes, what it refuses, and that writing undoes reading."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickleweb.convertors import CONVERTORS, Convertor

IDENTIFIER = UUID("6f9619ff-8b86-d011-b42d-00cf4fc964ff")
TEXT = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
SEGMENTS = TEXT.filter(lambda text: text not in (".", ".."))
VALUES = {
    "str": SEGMENTS,
    "int": st.integers(1 - (1 << 63), (1 << 63) - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "uuid": st.uuids(),
    "date": st.dates(),
    "path": st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join) | SEGMENTS.map(lambda text: text + "/"),
}


def test_every_kind_is_tested() -> None:
    assert VALUES.keys() == CONVERTORS.keys()


@given(st.sampled_from(sorted(VALUES)).flatmap(lambda kind: st.tuples(st.just(kind), VALUES[kind])))
def test_what_is_written_reads_as_the_same(case: tuple[str, Any]) -> None:
    kind, value = case
    read = CONVERTORS[kind].parse(CONVERTORS[kind].write(value))
    assert read == value
    assert type(read) is type(value)


@given(st.sampled_from(sorted(VALUES)), st.text(st.sampled_from("01239.-/abcdefE+_ ٣\0\ud800"), max_size=40))
def test_what_can_be_read_has_one_spelling(kind: str, text: str) -> None:
    try:
        value = CONVERTORS[kind].parse(text)
    except ValueError:
        return
    written = CONVERTORS[kind].write(value)
    assert written == text or (kind == "float" and float(written) == float(text)) or kind == "uuid"


TAKEN = [
    ("str", "a b", "a b"),
    ("str", "...", "..."),
    ("int", "0", 0),
    ("int", "-17", -17),
    ("int", "9223372036854775807", (1 << 63) - 1),
    ("float", "1", 1.0),
    ("float", "-2.50", -2.5),
    ("float", "007.5", 7.5),
    ("uuid", str(IDENTIFIER).upper(), IDENTIFIER),
    ("date", "2024-02-29", date(2024, 2, 29)),
    ("path", "a/b.c/", "a/b.c/"),
    ("path", "a/...", "a/..."),
]


@pytest.mark.parametrize(("kind", "text", "value"), TAKEN)
def test_it_is_read(kind: str, text: str, value: object) -> None:
    assert CONVERTORS[kind].parse(text) == value


REFUSED = [
    *(("str", text) for text in ("", ".", "..", "a/b", "/", "a\0b", "\ud800")),
    *(("int", text) for text in ("", "-", "-0", "+1", "01", " 1", "1 ", "1_0", "٣", "1.0", "9223372036854775808")),
    ("int", "9" * 100_000),
    *(("float", text) for text in ("", ".5", "5.", "1e3", "nan", "inf", "-inf", "1_0.0", "٣.٣", "+1", "1.2.3")),
    ("float", "9" * 309),
    ("float", "9" * 100_000),
    *(
        ("uuid", text)
        for text in ("", str(IDENTIFIER)[:-1], f"{{{IDENTIFIER}}}", IDENTIFIER.hex, f"urn:uuid:{IDENTIFIER}")
    ),
    *(("date", text) for text in ("", "20240229", "2024-W09-4", "2023-02-29", "0000-01-01", "2024-2-9", "٢٠٢٤-٠٢-٢٩")),
    *(
        ("path", text)
        for text in ("", "/", "/etc/passwd", "a//b", "..", "a/..", "../a", "a/./b", "a/../", "a\0", "a//")
    ),
]


@pytest.mark.parametrize(("kind", "text"), REFUSED)
def test_it_is_refused(kind: str, text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - every kind of it means the same
        CONVERTORS[kind].parse(text)


FOREIGN = [
    *(("str", value) for value in (5, None, "", "..", "a/b", b"a")),
    *(("int", value) for value in (True, 1.5, "1 ", 1 << 63, None, Decimal("1.5"))),
    *(("float", value) for value in (math.nan, math.inf, "x", None, 1j)),
    *(("uuid", value) for value in (IDENTIFIER.bytes, 5, None)),
    *(("date", value) for value in (datetime(2024, 2, 29, tzinfo=UTC), "2024-02-29", 5)),
    *(("path", value) for value in ("/a", "", ["a"], "a/../b")),
]


@pytest.mark.parametrize(("kind", "value"), FOREIGN)
def test_a_value_of_another_kind_cannot_be_written(kind: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"is no {kind}"):
        CONVERTORS[kind].write(value)


def test_a_program_may_have_kinds_of_its_own_and_is_held_to_the_inverse() -> None:
    careless = Convertor("hex", lambda text: int(text, 16))
    with pytest.raises(ValueError, match="255 is no hex"):
        careless.write(255)  # str(255) reads as 0x255
    assert Convertor("hex", lambda text: int(text, 16), lambda value: f"{value:x}").write(255) == "ff"
