"""Tokens of all forms: read as releases before have written them, written as they were, and nothing else read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickles.errors import BadPacket
from trickleweb.headers import Headers
from trickleweb.http1 import BodyDelivery
from trickleweb.messages import Inline, Plan
from trickleweb.server.fixed import resumed
from trickleweb.server.tokens import (
    AskedToken,
    InterimToken,
    KeptToken,
    PlannedToken,
    Token,
    decode_untrusted,
    encode,
)
from trickleweb.server.tokens.ranges import Cursor, Replay, VerifiedRange
from trickleweb.server.tokens.request import ReplayContext, unpacked, unpacked_head
from trickleweb.server.tokens.stored import StoredToken

REQUEST = b"GET /a?b=1 HTTP/1.1\r\nHost: example.org\r\nAccept: text/html\r\nCookie: key=secret\r\n\r\n"
CONTEXT = ReplayContext(1_700_000_000_000_000, 77, bytes(range(16)))
PACKED = (
    "74000460001283684bad48cc05c6905e7e513a42161e9a00474554202f613f623d3"
    "120485454502f312e310d0a436f6f6b69653a206b65793d7365637265740d0a0d0a"
)
RUN = f"00060a24181e4000000000000000004d000102030405060708090a0b0c0d0e0f{PACKED}"
ASKED = "0205000000006553f10000981a006ae0fcd4c0cc6d2103e7843d3d3d905dabde"
HEAD = (
    "73770d51d04fb44fb23554f0080909d037d433e4e5cac82f2eb15248ad48cc"
    "2dc849d5cb2f4ae7e54a4c4e4e2d000a96a45694e86794e4e6f072f1720100"
)
# As they were first written: replicas of two releases read each other's tokens.
WRITTEN = {
    "planned": "0105000000006553f10000956040197a01c801024b0205226162632201000568656c6c6f",
    "asked of a plan": ASKED + HEAD,
    "asked of a program": ASKED + RUN,
    "replay": f"0335000000006553f100009e5219c2027dbd0a2200000000000000000000000000000000000000000000000000{RUN[2:]}",
    "cursor": "0415000000006553f100009e5219c2027dbd0a220000000000000005000102030405060708090a0b0c0d0e0f"
    "000d01c801024b02052261626322005b22726f7773222c312c372c7b2261223a2278227d5d",
    "kept": "07" + "ab" * 32,
    "interim": "08",
    "stored": "090100c8000000680000000000000078" + "cd" * 16,
}


def token(name: str) -> Token:
    return decode_untrusted(bytes.fromhex(WRITTEN[name]))


@pytest.mark.parametrize("name", WRITTEN)
def test_a_token_is_written_as_it_was_read(name: str) -> None:
    assert encode(token(name)).hex() == WRITTEN[name]


def test_a_plan_is_what_it_was() -> None:
    planned = token("planned")
    assert isinstance(planned, PlannedToken)
    headers = Headers((("Content-Type", "text/plain; charset=utf-8"), ("ETag", '"abc"')))
    assert planned.plan == Plan(200, headers, (Inline(b"hello"),))
    assert planned.delivered.delivery == BodyDelivery(None, chunked=False, has_body=True, keep_alive=True)
    response = resumed(planned.delivered, planned.plan)
    assert response.head is not None
    assert b"Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n" in response.head


def test_a_request_to_be_planned_or_run_again_is_what_it_was() -> None:
    of_plan, of_program = token("asked of a plan"), token("asked of a program")
    assert isinstance(of_plan, AskedToken)
    assert isinstance(of_program, AskedToken)
    head = unpacked_head(of_plan.request)
    assert (head.target, head.headers.get("accept"), head.headers.get("cookie")) == ("/a?b=1", "text/html", None)
    assert (of_plan.context, of_program.context) == (None, CONTEXT)
    assert unpacked(of_program.request) == REQUEST


def test_the_ranges_of_streams_are_what_they_were() -> None:
    replay, cursor = token("replay"), token("cursor")
    assert isinstance(replay, VerifiedRange)
    assert isinstance(cursor, VerifiedRange)
    assert (replay.at, replay.first, cursor.at, cursor.first) == (0, True, 5, False)
    assert replay.source == Replay(CONTEXT, bytes.fromhex(PACKED))
    assert isinstance(cursor.source, Cursor)
    assert cursor.source.checkpoint == b'["rows",1,7,{"a":"x"}]'
    assert replay.framing == cursor.framing
    assert token("kept") == KeptToken(b"\xab" * 32)
    assert isinstance(token("interim"), InterimToken)
    assert token("stored") == StoredToken(b"\xcd" * 16, 200, 104, last=False, at=120)


@given(st.sampled_from(sorted(WRITTEN)), st.integers(0, 300), st.integers(0, 255))
def test_any_other_bytes_are_a_token_or_bad(name: str, at: int, changed: int) -> None:
    state = bytes.fromhex(WRITTEN[name])
    at = min(at, len(state) - 1)
    for other in (state[:at], bytes((*state[:at], changed, *state[at + 1 :])), state + bytes([changed])):
        try:
            encode(decode_untrusted(other), 1 << 20)
        except BadPacket:
            continue


@pytest.mark.parametrize("state", [b"", b"\x00", b"\x05", b"\x06" + bytes(60), b"\x09" + bytes(15), b"\xff" * 700])
def test_a_form_that_is_not_in_the_table_is_refused(state: bytes) -> None:
    with pytest.raises(BadPacket):
        decode_untrusted(state)
