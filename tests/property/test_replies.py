"""Whatever a service replies, the packets carry it in order, fill the grant and no more, and say what is left over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.desk import Desk
from tests.support.peer import SOURCE, OpenedPacket
from trickles.service import Continuation, Event, Reply
from trickles.wire.kinds import ResponseFlag, Suite

SIZES = st.integers(0, 40) | st.integers(1100, 1300) | st.integers(0, 9000)
CHUNKS = st.lists(st.tuples(st.booleans(), SIZES), max_size=8)  # joined to the one before it, and its size
CONTENT = bytes(n * 7 % 251 for n in range(100_000))


class Says:
    """Replies what the test put in, once; before that, nothing."""

    def __init__(self) -> None:
        self.reply: Reply | None = None

    def handle(self, event: Event) -> Reply:
        """Give the reply."""
        return self.reply or Reply(((0, b"x" * 3000),))


def laid_out(sizes: list[tuple[bool, int]]) -> list[tuple[int, memoryview]]:
    """Chunks of the content, some with a gap before them."""
    chunks, at = [], 0
    for joined, size in sizes:
        at += 0 if joined else 17
        chunks.append((at, memoryview(CONTENT)[at : at + size]))
        at += size
    return chunks


def joined(chunks: list[tuple[int, memoryview]]) -> list[tuple[int, int]]:
    """The stretches [start, stop) that the chunks cover without a gap, in their order."""
    stretches: list[tuple[int, int]] = []
    for offset, data in chunks:
        if not data:
            continue
        if stretches and stretches[-1][1] == offset:
            stretches[-1] = (stretches[-1][0], offset + len(data))
        else:
            stretches.append((offset, offset + len(data)))
    return stretches


def asked(suite: Suite, reply: Reply, size: int, hi: int) -> list[OpenedPacket]:
    """The packets of that reply, to a request that earns twice as many numbers as it speaks for."""
    service = Says()
    desk = Desk(service, suite=suite)
    desk.greet()
    desk.now += 10_000
    desk.ping(size)
    desk.ask(desk.peer.restart(desk.peer_bound(), datagram_bytes=size))
    desk.listener.drop_caches()  # where the restart was answered short, only another restart would go on
    service.reply = reply
    bursts = desk.listener.handle(desk.peer.speak(9, 9 + hi), SOURCE, now=desk.now)
    for burst in bursts:
        sizes = [len(each) for each in burst.datagrams()]
        assert sizes[:-1] == [burst.segment_bytes] * (len(sizes) - 1)  # one send with segmentation
        assert sizes[-1] <= burst.segment_bytes <= size
    return desk.peer.read(each for burst in bursts for each in burst.datagrams())


@given(st.sampled_from(Suite), CHUNKS, st.sampled_from([1200, 1472]), st.integers(1, 3), st.integers(0, 3))
def test_packets_carry_a_reply_in_order_and_fill_the_grant(
    suite: Suite, sizes: list[tuple[bool, int]], size: int, hi: int, ends: int
) -> None:
    chunks = laid_out(sizes)
    stretches = joined(chunks)
    last = stretches[-1][1] if stretches else 0
    end = [None, last, last + 5, 0][ends] if stretches else None
    packets = asked(suite, Reply(tuple(chunks), None, end), size, hi)
    granted = 2 * hi
    assert 1 <= len(packets) <= granted
    assert [packet.number for packet in packets] == list(range(packets[0].number, packets[0].number + len(packets)))
    carried: list[tuple[int, memoryview]] = []
    for packet in packets:
        assert packet.data == CONTENT[packet.offset : packet.offset + len(packet.data)]
        carried.append((packet.offset, memoryview(packet.data)))
    found = joined(carried)
    whole = found == stretches
    scattered = len(packets) > 2 * sum(stop - start for start, stop in stretches) // size  # in more than it needs
    assert whole or len(packets) == granted or scattered  # what is left out had no room
    assert found == stretches[: len(found) - 1] + found[-1:] if found else not stretches
    assert bool(packets[-1].flags & ResponseFlag.SHORT) == (len(packets) < granted)
    reaches = end is not None and packets[-1].offset + len(packets[-1].data) == end
    assert bool(packets[-1].flags & ResponseFlag.END) == reaches
    assert not any(packet.flags & (ResponseFlag.END | ResponseFlag.SHORT) for packet in packets[:-1])


@pytest.mark.slow
@given(st.sampled_from(Suite), st.integers(0, 700), CHUNKS)
def test_a_new_continuation_rides_on_the_first_three_packets(
    suite: Suite, state_bytes: int, sizes: list[tuple[bool, int]]
) -> None:
    told = Continuation(bytes(state_bytes), 0, None, 4)
    packets = asked(suite, Reply(tuple(laid_out(sizes)), told), 1200, 3)
    assert [packet.user is not None for packet in packets] == [index < 3 for index in range(len(packets))]
    assert all(packet.size_bytes <= 1200 for packet in packets)
    assert len({packet.user for packet in packets if packet.user}) == 1


@given(st.sampled_from(Suite), st.integers(1, 9000), st.integers(1, 3))
def test_where_output_goes_on_a_few_numbers_left_over_are_used_up_by_empty_packets(
    suite: Suite, size: int, hi: int
) -> None:
    """A grant that is not used up would end the episode at the end of each stretch."""
    told = Continuation(b"", 0, size, 4, more=True)
    packets = asked(suite, Reply(((0, memoryview(CONTENT)[:size]),), told), 1200, hi)
    full = [packet for packet in packets if packet.data]
    left = 2 * hi - len(full)
    assert len(packets) - len(full) in (0, left)
    assert (len(packets) > len(full)) == (0 < left <= min(max(2, len(full)), 10))
    assert bool(packets[-1].flags & ResponseFlag.SHORT) == (len(packets) < 2 * hi)
    assert all(packet.offset == packets[len(full) - 1].offset + len(full[-1].data) for packet in packets[len(full) :])
