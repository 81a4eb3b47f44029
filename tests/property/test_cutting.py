"""Replies cut into packets, whatever the chunks: every byte in its place, sizes and marks as promised."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickles.continuation import Seals
from trickles.listener.decisions import Decision
from trickles.listener.paths import Path
from trickles.listener.responder import Grant, budget_bytes, coalesced, packets, room_bytes
from trickles.nonce import NonceSequence
from trickles.session import SessionKeys
from trickles.trickle import Episode
from trickles.wire.kinds import Burst, Kind, ResponseFlag, Suite
from trickles.wire.response import CONTROL_COPIES, HEADER, HEADER_BYTES
from trickles.wire.transport import TransportState

SECRET, KEY, SIZE, FIRST = bytes(range(32)), bytes(16), 300, 1000
Chunks = tuple[tuple[int, bytes], ...]
Opened = tuple[int, int, int, int, bytes]  # flags, number, nonce, offset, data


def grant(suite: Suite, count: int, flags: int, frames: bytes) -> Grant:
    session = SessionKeys(SECRET, suite)
    state = TransportState(suite, False, 0, bytes(16), SIZE, Episode(0, 10, 10), SECRET, KEY)
    path = Path(state, session, NonceSequence(KEY), Seals(session.connection, session.identity))
    stop, source = FIRST + count, ("192.0.2.7", 9)
    decision = Decision(FIRST, stop, state.episode, False, SIZE, None)
    return Grant(path, source, 70_000, FIRST, stop, SIZE, flags, frames, bytes(12), 0, decision)


def opened(suite: Suite, burst: Burst, frames: bytes) -> list[Opened]:
    session, found = SessionKeys(SECRET, suite), []
    for datagram in burst.datagrams():
        kind, flags, request, _, number, nonce, offset = HEADER.unpack_from(datagram)
        assert (kind, request) == (Kind.RESPONSE, 70_000 & 0xFFFF)
        tagged = bool(flags & ResponseFlag.USER)
        clear = HEADER_BYTES + (len(frames) if tagged else 0)
        assert not tagged or datagram[HEADER_BYTES:clear] == frames
        data = session.open_response_untrusted(datagram[:clear], datagram[clear:], tagged=tagged)
        found.append((flags, number, nonce, offset, bytes(data)))
    return found


@st.composite
def chunks_of_a_stream(draw: st.DrawFn) -> Chunks:
    """Chunks in order, some side by side, some empty, some longer than many packets."""
    chunks, offset = [], 0
    for gap, size in draw(st.lists(st.tuples(st.sampled_from([0, 0, 7]), st.sampled_from([0, 1, 90, 252, 268, 2000])))):
        offset += gap
        chunks.append((offset, bytes((offset + i) * 31 % 251 for i in range(size))))
        offset += size
    return tuple(chunks)


FRAMES = st.sampled_from([b"", bytes(20), bytes(140)])


@pytest.mark.slow
@given(st.sampled_from(Suite), chunks_of_a_stream(), st.integers(1, 30), FRAMES, st.booleans())
def test_every_packet_of_a_reply(suite: Suite, chunks: Chunks, count: int, frames: bytes, ends: bool) -> None:
    flags = ResponseFlag.USER if frames else 0
    end = max((offset + len(data) for offset, data in chunks), default=0) if ends else None
    given_ = grant(suite, count, flags, frames)
    bursts = packets(given_, chunks, flags, frames, end)
    found = [packet for burst in bursts for packet in opened(suite, burst, frames)]
    assert 1 <= len(found) <= count
    assert [number for _, number, _, _, _ in found] == list(range(FIRST, FIRST + len(found)))
    assert [nonce for _, _, nonce, _, _ in found] == NonceSequence(KEY).proofs(FIRST, FIRST + len(found))
    assert [bool(flags & ResponseFlag.USER) for flags, *_ in found] == [
        bool(frames) and index < CONTROL_COPIES for index in range(len(found))
    ]
    assert [bool(flags & ResponseFlag.SHORT) for flags, *_ in found[:-1]] == [False] * (len(found) - 1)
    assert bool(found[-1][0] & ResponseFlag.SHORT) == (len(found) < count)
    assert bool(found[-1][0] & ResponseFlag.END) == (end is not None and found[-1][3] + len(found[-1][4]) == end)
    stream = {offset + i: byte for offset, data in chunks for i, byte in enumerate(data)}
    sent = {offset + i: byte for _, _, _, offset, data in found for i, byte in enumerate(data)}
    assert list(sent.items()) == list(stream.items())[: len(sent)]
    assert len(sent) == sum(len(data) for *_, data in found)
    assert len(found) == count or sent == stream


@given(st.sampled_from(Suite), chunks_of_a_stream(), st.integers(1, 30), FRAMES)
def test_all_segments_of_a_burst_but_the_last_are_full(suite: Suite, chunks: Chunks, count: int, frames: bytes) -> None:
    flags = ResponseFlag.USER if frames else 0
    bursts = packets(grant(suite, count, flags, frames), chunks, flags, frames, None)
    joined = coalesced(chunks)
    assert 1 <= len(bursts) <= max(len(joined), 1) + CONTROL_COPIES
    for burst in bursts:
        assert burst.segment_bytes == SIZE
        sizes = [len(datagram) for datagram in burst.datagrams()]
        assert sizes[:-1] == [SIZE] * (len(sizes) - 1)
        assert 0 < sizes[-1] <= SIZE


@given(st.sampled_from(Suite), st.integers(1, 30), FRAMES)
def test_a_budget_fills_a_grant_to_the_last_byte(suite: Suite, count: int, frames: bytes) -> None:
    flags = ResponseFlag.USER if frames else 0
    given_ = grant(suite, count, flags, frames)
    budget = budget_bytes(given_.path.session, SIZE, count, frames)
    (burst,) = packets(given_, ((0, bytes(budget)),), flags, frames, budget)
    assert [len(datagram) for datagram in burst.datagrams()] == [SIZE] * count
    assert room_bytes(given_.path.session, SIZE, flags, frames) <= room_bytes(given_.path.session, SIZE)
