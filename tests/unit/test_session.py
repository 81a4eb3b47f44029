"""Traffic keys: both directions, both suites, and what is authenticated in each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickles.errors import Forged
from trickles.session import SessionKeys, connection_id
from trickles.wire.kinds import Kind, Suite
from trickles.wire.request import request_header
from trickles.wire.response import HEADER, TAG_BYTES

SECRET = bytes(range(32))
HEAD = request_header(Kind.REQUEST, bytes(128), 7)
CLEAR = HEADER.pack(Kind.RESPONSE, 0, 7, b"saltsalt", 99, 12345, 678)
SUITES = st.sampled_from(Suite)


def flips(datagram: bytes) -> list[bytes]:
    """The datagram with one bit flipped, for every bit of every seventh byte and of both ends."""
    places = {*range(0, len(datagram), 7), *range(20), *range(len(datagram) - 20, len(datagram))}
    out = []
    for at in sorted(places & set(range(len(datagram)))):
        for bit in range(8):
            flipped = bytearray(datagram)
            flipped[at] ^= 1 << bit
            out.append(bytes(flipped))
    return out


@given(SUITES, st.binary(max_size=300), st.integers(0, (1 << 32) - 1))
def test_a_request_opens_to_its_body(suite: Suite, body: bytes, number: int) -> None:
    session, header = SessionKeys(SECRET, suite), request_header(Kind.REQUEST, bytes(128), number)
    datagram = session.seal_request(header, body)
    assert len(datagram) == len(header) + len(body) + TAG_BYTES
    assert session.open_request_untrusted(header, datagram) == body


@pytest.mark.parametrize("suite", Suite)
def test_a_request_is_authenticated_from_its_first_bit_to_its_last(suite: Suite) -> None:
    session = SessionKeys(SECRET, suite)
    for flipped in flips(session.seal_request(HEAD, b"some body or other" * 5)):
        with pytest.raises(Forged):
            session.open_request_untrusted(flipped[: len(HEAD)], flipped)


@pytest.mark.parametrize("suite", Suite)
def test_a_truncated_request_is_forged(suite: Suite) -> None:
    session = SessionKeys(SECRET, suite)
    datagram = session.seal_request(HEAD, b"body")
    for length in range(len(HEAD), len(datagram)):
        with pytest.raises(Forged):
            session.open_request_untrusted(HEAD, datagram[:length])


def test_only_the_sealed_suite_hides_the_body() -> None:
    body = b"GET /secret HTTP/1.1"
    assert body not in SessionKeys(SECRET, Suite.SEALED).seal_request(HEAD, body)
    assert body in SessionKeys(SECRET, Suite.OPEN).seal_request(HEAD, body)


@given(SUITES, st.binary(max_size=300), st.booleans())
def test_a_response_opens_to_its_data(suite: Suite, data: bytes, tagged: bool) -> None:
    session = SessionKeys(SECRET, suite)
    datagram = b"".join(session.seal_response(CLEAR, data, tagged=tagged))
    overhead = TAG_BYTES if suite is Suite.SEALED or tagged else 0
    assert len(datagram) == len(CLEAR) + len(data) + overhead
    assert bytes(session.open_response_untrusted(CLEAR, datagram[len(CLEAR) :], tagged=tagged)) == data


def test_a_sealed_response_is_authenticated_from_its_first_bit_to_its_last() -> None:
    session = SessionKeys(SECRET, Suite.SEALED)
    for flipped in flips(b"".join(session.seal_response(CLEAR, b"data" * 20, tagged=False))):
        with pytest.raises(Forged):
            session.open_response_untrusted(flipped[: len(CLEAR)], flipped[len(CLEAR) :], tagged=False)


def test_an_open_response_with_frames_has_its_clear_part_authenticated() -> None:
    session, clear = SessionKeys(SECRET, Suite.OPEN), CLEAR + b"frames"
    datagram = b"".join(session.seal_response(clear, b"data", tagged=True))
    end = len(clear) + TAG_BYTES
    for flipped in flips(datagram[:end]):
        with pytest.raises(Forged):
            session.open_response_untrusted(flipped[: len(clear)], flipped[len(clear) :] + b"data", tagged=True)


@given(st.binary(max_size=40))
def test_random_bytes_do_not_authenticate(data: bytes) -> None:
    session = SessionKeys(SECRET, Suite.SEALED)
    with pytest.raises(Forged):
        session.open_response_untrusted(CLEAR, data, tagged=False)
    with pytest.raises(Forged):
        session.open_request_untrusted(HEAD, HEAD + data)
    with pytest.raises(Forged):
        session.check_untrusted(CLEAR, data)
    with pytest.raises(Forged):
        SessionKeys(SECRET, Suite.OPEN).open_response_untrusted(CLEAR, data, tagged=True)


def test_a_tag_holds_for_its_own_bytes_only() -> None:
    session = SessionKeys(SECRET, Suite.OPEN)
    tag = session.tag(CLEAR)
    session.check_untrusted(CLEAR, tag)
    for flipped in flips(CLEAR):
        with pytest.raises(Forged):
            session.check_untrusted(flipped, tag)


def test_the_directions_have_keys_of_their_own() -> None:
    session = SessionKeys(SECRET, Suite.SEALED)
    request = session.seal_request(HEAD, b"")
    with pytest.raises(Forged):
        session.check_untrusted(HEAD, request[len(HEAD) :])


def test_a_connection_is_named_by_its_secret_alone() -> None:
    assert (
        connection_id(SECRET)
        == SessionKeys(SECRET, Suite.OPEN).connection
        == SessionKeys(SECRET, Suite.SEALED).connection
    )
    assert len(connection_id(SECRET)) == 8
    assert connection_id(SECRET) != connection_id(SECRET[::-1])


def test_another_secret_opens_nothing() -> None:
    mine, other = SessionKeys(SECRET, Suite.SEALED), SessionKeys(SECRET[::-1], Suite.SEALED)
    with pytest.raises(Forged):
        other.open_request_untrusted(HEAD, mine.seal_request(HEAD, b"body"))
