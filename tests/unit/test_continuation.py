"""Continuations: what is sealed comes back, for this connection, in time, and not larger than a packet bears."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fleetkeys import WALL, ring
from tests.support.seals import seal_transport, seal_user
from trickles.continuation import open_transport_untrusted, open_user_untrusted
from trickles.errors import BadPacket, ContinuationTooLarge, Forged, UnknownEpoch
from trickles.keyring import Purpose
from trickles.limits import DEFAULT_LIMITS, SECOND
from trickles.service import Continuation
from trickles.trickle import Episode
from trickles.wire.kinds import Suite
from trickles.wire.transport import BLOB_BYTES, TransportState, decode_untrusted

CONNECTION, NONCE, LIFE = b"12345678", bytes(12), 1000
SKEW = 10 * SECOND
U32, U64 = st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 64) - 2)
STATES = st.builds(
    TransportState,
    st.sampled_from(Suite),
    st.booleans(),
    st.integers(0, (1 << 64) - 1),
    st.binary(min_size=16, max_size=16),
    st.integers(0, 65_535),
    st.builds(Episode, U32, U32, U32, st.just(1)),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=16, max_size=16),
)
PLAIN = TransportState(Suite.SEALED, False, WALL, bytes(16), 1200, Episode(5, 10, 100), bytes(32), bytes(16))


@given(STATES, st.binary(min_size=8, max_size=8))
def test_a_transport_continuation_is_128_bytes_and_opens_to_what_it_was(state: TransportState, name: bytes) -> None:
    blob = seal_transport(ring(), name, state, nonce=NONCE, now=WALL)
    assert len(blob) == BLOB_BYTES == 128
    assert blob[:8] == name
    assert open_transport_untrusted(ring(), blob) == (name, state)


@given(STATES)
def test_the_state_is_88_bytes_in_clear(state: TransportState) -> None:
    assert len(state.encode()) == 88
    assert decode_untrusted(state.encode()) == state


def test_every_flipped_bit_and_every_truncation_is_refused() -> None:
    blob = seal_transport(ring(), CONNECTION, PLAIN, nonce=NONCE, now=WALL)
    for bit in range(BLOB_BYTES * 8):
        flipped = bytearray(blob)
        flipped[bit >> 3] ^= 1 << (bit & 7)
        with pytest.raises(Forged):
            open_transport_untrusted(ring(), bytes(flipped))
    for length in range(BLOB_BYTES):
        with pytest.raises(BadPacket):
            open_transport_untrusted(ring(), blob[:length])
    with pytest.raises(BadPacket):
        open_transport_untrusted(ring(), blob + b"\0")


def test_the_name_in_front_cannot_be_changed_for_another_connections() -> None:
    mine = seal_transport(ring(), CONNECTION, PLAIN, nonce=NONCE, now=WALL)
    with pytest.raises(Forged):
        open_transport_untrusted(ring(), b"87654321" + mine[8:])


@given(st.binary(max_size=100).filter(lambda data: len(data) != 88))
def test_a_state_of_another_length_is_no_state(data: bytes) -> None:
    with pytest.raises(BadPacket):
        decode_untrusted(data)


@pytest.mark.parametrize(("at", "value"), [(0, 0), (0, 3), (0, 0x80), (0, 0x7F), (1, 0), (1, 199)])
def test_unknown_suites_and_laws_are_refused(at: int, value: int) -> None:
    data = bytearray(PLAIN.encode())
    data[at] = value
    with pytest.raises(BadPacket):
        decode_untrusted(bytes(data))


def user(value: Continuation, now: int = WALL, name: bytes = CONNECTION) -> bytes:
    return seal_user(ring(), name, value, nonce=NONCE, now=now, limits=DEFAULT_LIMITS)


@given(st.binary(max_size=700), U64, st.none() | st.integers(0, (1 << 63) - 2), U64, st.booleans())
def test_a_user_continuation_opens_to_what_it_was(
    state: bytes, start: int, stop: int | None, consumed: int, more: bool
) -> None:
    value = Continuation(state, start, stop, consumed, more and stop is not None)
    blob = user(value)
    assert len(blob) == len(state) + 64  # 32 of fields, 32 of sealing
    assert open_user_untrusted(ring(), CONNECTION, blob, now=WALL, life=LIFE) == value


def test_a_state_that_fits_no_packet_is_refused_with_the_way_out() -> None:
    user(Continuation(bytes(700), 0, None, 0))
    with pytest.raises(ContinuationTooLarge, match="store that all replicas share"):
        user(Continuation(bytes(701), 0, None, 0))


@pytest.mark.parametrize(("age", "opens"), [(-5, True), (0, True), (LIFE, True), (LIFE + 1, False)])
def test_a_user_continuation_ages(age: int, opens: bool) -> None:
    value, blob = Continuation(b"s", 0, 10, 4), user(Continuation(b"s", 0, 10, 4))
    if opens:
        assert open_user_untrusted(ring(), CONNECTION, blob, now=WALL + age, life=LIFE) == value
        return
    with pytest.raises(Forged, match="expired"):
        open_user_untrusted(ring(), CONNECTION, blob, now=WALL + age, life=LIFE)


@pytest.mark.parametrize(("ahead", "opens"), [(0, True), (SKEW, True), (SKEW + 1, False), (3600 * SECOND, False)])
def test_a_user_continuation_of_the_future_is_anothers_to_open(ahead: int, opens: bool) -> None:
    blob = user(Continuation(b"s", 0, 10, 4))
    if opens:
        open_user_untrusted(ring(), CONNECTION, blob, now=WALL - ahead, life=LIFE, skew=SKEW)
        return
    with pytest.raises(UnknownEpoch):
        open_user_untrusted(ring(), CONNECTION, blob, now=WALL - ahead, life=LIFE, skew=SKEW)


def test_a_user_continuation_is_its_connections_own() -> None:
    blob = user(Continuation(b"s", 0, None, 0))
    with pytest.raises(Forged):
        open_user_untrusted(ring(), b"87654321", blob, now=WALL, life=LIFE)
    with pytest.raises(UnknownEpoch):
        open_user_untrusted(ring(2), CONNECTION, blob, now=WALL, life=LIFE)


def test_a_transport_continuation_never_passes_for_a_users() -> None:
    transport = seal_transport(ring(), CONNECTION, PLAIN, nonce=NONCE, now=WALL)[8:]
    with pytest.raises(Forged):
        open_user_untrusted(ring(), CONNECTION, transport, now=WALL, life=LIFE)
    with pytest.raises(BadPacket):
        open_transport_untrusted(ring(), (CONNECTION + user(Continuation(bytes(56), 0, None, 0)))[:128])


def test_a_sealed_value_too_short_for_its_fields_is_a_bad_packet() -> None:
    blob = ring().seal(Purpose.USER, CONNECTION, bytes(31), nonce=NONCE, now=WALL)
    with pytest.raises(BadPacket):
        open_user_untrusted(ring(), CONNECTION, blob, now=WALL, life=LIFE)
