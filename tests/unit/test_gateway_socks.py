"""SOCKS messages: complete, cut at every byte, and wrong in every field."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickles.gateway.socks import BadSocks, Code, greeting_untrusted, reply, request_untrusted

NAMED = b"\x05\x01\x00\x03\x0bExample.org\x01\xbb"
FOUR = b"\x05\x01\x00\x01\xc0\x00\x02\x07\x00\x50"
SIX = b"\x05\x01\x00\x04" + bytes.fromhex("20010db8000000000000000000000001") + b"\x00\x50"


def test_a_greeting_tells_whether_the_client_would_come_unknown() -> None:
    for data, anonymous in (
        (b"\x05\x01\x00", True),
        (b"\x05\x02\x02\x00", True),
        (b"\x05\x01\x02", False),
        (b"\x05\x00", False),
    ):
        greeting = greeting_untrusted(data + b"more")
        assert greeting is not None
        assert (greeting.anonymous, greeting.size_bytes) == (anonymous, len(data))


def test_a_request_names_its_target_in_three_ways() -> None:
    targets = [("example.org", 443), ("192.0.2.7", 80), ("2001:db8::1", 80)]
    for data, target in zip((NAMED, FOUR, SIX), targets, strict=True):
        request = request_untrusted(data + b"more")
        assert request is not None
        assert (request.target, request.size_bytes) == (target, len(data))


def test_messages_are_incomplete_up_to_their_last_byte() -> None:
    assert [greeting_untrusted(b"\x05\x02\x00\x01"[:size]) for size in range(4)] == [None] * 4
    for message in (NAMED, FOUR, SIX):
        assert [request_untrusted(message[:size]) for size in range(len(message))] == [None] * len(message)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\x04" + NAMED[1:], Code.FAILED),
        (b"\x05\x02" + NAMED[2:], Code.COMMAND_UNKNOWN),
        (b"\x05\x03" + NAMED[2:], Code.COMMAND_UNKNOWN),
        (b"\x05\x01\x01" + NAMED[3:], Code.ADDRESS_UNKNOWN),
        (b"\x05\x01\x00\x02" + NAMED[4:], Code.ADDRESS_UNKNOWN),
        (b"\x05\x01\x00\x03\x00\x00\x50", Code.ADDRESS_UNKNOWN),
        (b"\x05\x01\x00\x03\x03a\x00b\x00\x50", Code.ADDRESS_UNKNOWN),
        (b"\x05\x01\x00\x03\x03a/b\x00\x50", Code.ADDRESS_UNKNOWN),
    ],
)
def test_what_is_refused(message: bytes, code: Code) -> None:
    with pytest.raises(BadSocks) as caught:
        request_untrusted(message)
    assert caught.value.code is code
    assert reply(code)[:3] == bytes((5, code, 0))
    with pytest.raises(BadSocks):
        greeting_untrusted(b"\x04\x01")


@given(st.binary(max_size=40), st.integers(0, len(NAMED)))
def test_whatever_comes_is_a_message_or_half_of_one_or_refused(junk: bytes, at: int) -> None:
    for read in (greeting_untrusted, request_untrusted):
        try:
            message = read(NAMED[:at] + junk)
        except BadSocks:
            continue
        assert message is None or 2 <= message.size_bytes <= at + len(junk)
