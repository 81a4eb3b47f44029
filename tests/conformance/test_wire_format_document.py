"""docs/wire-format.md says what the code does: its tables add up; sizes, kinds, flags and codes are the code's."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from tests.support.vectors import DOCS
from trickles.keyring import Purpose
from trickles.service import Refusal
from trickles.wire import hello, piece, request, response, transport
from trickles.wire.kinds import Kind, RequestFlag, ResponseFlag

TEXT = (DOCS / "wire-format.md").read_text(encoding="utf-8")
HEADING = re.compile(r"^#+ (.*)$")


@dataclass(slots=True)
class Table:
    """A table of the page, under its heading; cells as text."""

    heading: str
    header: list[str]
    rows: list[list[str]]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def tables(text: str) -> list[Table]:
    """Every table of a markdown page."""
    found: list[Table] = []
    heading, inside = "", False
    for line in text.splitlines():
        if match := HEADING.match(line):
            heading = match[1]
        if not line.startswith("|"):
            inside = False
        elif not inside:
            found.append(Table(heading, cells(line), []))
            inside = True
        elif not set(line) <= set("|- "):
            found[-1].rows.append(cells(line))
    return found


TABLES = tables(TEXT)
LAYOUTS = [each for each in TABLES if each.header[:2] == ["at", "bytes"] and each.rows[-1][2] == "end"]


def table(header: str) -> list[list[str]]:
    """The rows of the one table whose header begins with that word."""
    (found,) = [each for each in TABLES if each.header[0] == header]
    return found.rows


def test_the_page_has_layouts() -> None:
    assert len(LAYOUTS) == 15


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.heading)
def test_offsets_add_up(layout: Table) -> None:
    at = int(layout.rows[0][0])
    for row in layout.rows[:-1]:
        assert int(row[0]) == at, row
        at += int(row[1])
    assert int(layout.rows[-1][0]) == at
    said = re.search(r"\((\d+) bytes", layout.heading)
    if said is not None:
        assert int(said[1]) == at


def end(beginning: str) -> int:
    """Where the layout under that heading ends."""
    (found,) = [each for each in LAYOUTS if each.heading.startswith(beginning)]
    return int(found.rows[-1][0])


SIZES = {
    "CERTIFICATE": 1 + hello.CERTIFICATE_BYTES,
    "HELLO": hello.HELLO_HEADER_BYTES,
    "Inside a HELLO": hello.INSIDE_BYTES,
    "COOKIE": 1 + hello.COOKIE_BYTES,
    "Transport continuation": transport.BLOB_BYTES,
    "REQUEST, PING, PIECE and AWAIT": request.HEADER_BYTES,
    "The body of a REQUEST": request.BODY_FIXED_BYTES,
    "Every reply": response.HEADER_BYTES,
    "Transport frame": response.TRANSPORT_FRAME_BYTES,
    "User frame": len(response.UserFrame(0, None, 0, b"").encode()),
    "The body of a PIECE": piece.PIECE_OVERHEAD - request.HEADER_BYTES - request.TAG_BYTES,
    "RECEIPT": len(piece.Receipt(1, 0, 1, 0).clear(bytes(8))) + response.TAG_BYTES,
}


@pytest.mark.parametrize(("heading", "size"), SIZES.items(), ids=SIZES)
def test_layouts_are_as_long_as_in_the_code(heading: str, size: int) -> None:
    assert end(heading) == size


def test_refusals_have_the_lengths_that_the_page_tells() -> None:
    head, tag = response.HEADER_BYTES, response.TAG_BYTES
    lengths = [head, head + tag, head + response.TRANSPORT_FRAME_BYTES + tag]
    assert lengths == [32, 48, 190]
    assert "`0x17` | REFUSAL | server | 32, 48 or 190" in TEXT
    assert max(lengths) < request.MIN_REQUEST_BYTES == 200


def test_kinds_are_all_told() -> None:
    assert {row[1]: int(row[0].strip("`"), 16) for row in table("byte")} == {kind.name: int(kind) for kind in Kind}


def test_refusal_codes_are_all_told() -> None:
    assert {row[1]: int(row[0]) for row in table("code")} == {code.name: int(code) for code in Refusal}


def test_purposes_are_all_told() -> None:
    told = {row[0]: row[1].strip("`").encode() for row in table("name")}
    assert told == {purpose.name: purpose.value for purpose in Purpose}


@pytest.mark.parametrize("flags", [RequestFlag, ResponseFlag])
def test_flags_are_all_told(flags: type) -> None:
    known = {name: value for name, value in vars(flags).items() if name.isupper()}
    assert known
    told = [{row[0]: int(row[1]) for row in each.rows} for each in TABLES if each.header[:2] == ["flag", "value"]]
    assert known in told
