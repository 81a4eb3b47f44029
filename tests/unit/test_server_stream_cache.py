"""The live responses of a replica: bounded in number, bytes and age; closed when they leave."""

import asyncio
from collections.abc import AsyncIterator

from tests.support.programs import on_loop, pass_time, settled
from trickleweb.bodies import Streamed
from trickleweb.bodies.iteration import framed
from trickleweb.http1 import BodyDelivery
from trickleweb.server.limits import StreamLimits
from trickleweb.server.producer import LEAST_BYTES, PartsPump, Producer
from trickleweb.server.stream import Origins, StreamedResponse
from trickleweb.server.stream_cache import StreamCache
from trickleweb.server.tokens.ranges import framing_of

DELIVERY = BodyDelivery(None, chunked=True, has_body=True, keep_alive=True)


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield bytes(10_000)


def live() -> StreamedResponse:
    producer = Producer(PartsPump(framed(Streamed(endless()), DELIVERY)))
    return StreamedResponse(producer, Origins(None, None, {}, b""), framing_of(DELIVERY, 0, b"head"), b"head")


def at(number: int) -> tuple[bytes, int]:
    return (bytes(8), number)


def test_the_longest_unused_leave_where_there_are_too_many() -> None:
    async def test() -> None:
        lives, made = StreamCache(StreamLimits(streams=3)), [live() for _ in range(4)]
        for number in range(3):
            lives.put(at(number), made[number])
        assert lives.get(at(0)) is made[0]
        lives.put(at(3), made[3])
        assert [lives.get(at(number)) for number in range(4)] == [made[0], None, made[2], made[3]]
        assert [each.producer.closed for each in made] == [False, True, False, False]
        lives.put(at(3), made[1])
        assert made[3].producer.closed
        assert len(lives) == 3
        await lives.close()
        assert all(each.producer.closed for each in made)

    on_loop(test())


def test_those_that_requests_wait_for_leave_last() -> None:
    async def test() -> None:
        lives, made = StreamCache(StreamLimits(streams=2)), [live() for _ in range(4)]
        made[0].parked = made[2].parked = 1
        for number in range(3):
            lives.put(at(number), made[number])
        assert [each.producer.closed for each in made] == [False, True, False, False]
        lives.put(at(3), made[3])
        assert [each.producer.closed for each in made] == [True, True, False, False]
        await lives.close()

    on_loop(test())


def test_they_share_what_memory_there_is() -> None:
    async def test() -> None:
        lives, made = StreamCache(StreamLimits(streams_bytes=1 << 20)), [live() for _ in range(8)]
        for number, each in enumerate(made):
            lives.put(at(number), each)
        await settled(3000)
        kept = [each.producer.buffer.kept_bytes for each in made]
        assert sum(kept) <= 1 << 20
        assert min(kept) >= LEAST_BYTES // 4
        await lives.close()

    on_loop(test())


def test_they_leave_where_they_hold_too_much() -> None:
    async def test() -> None:
        lives, made = StreamCache(StreamLimits(streams_bytes=1 << 20)), [live() for _ in range(3)]
        await settled(1000)  # each makes a MiB while it is alone
        for number, each in enumerate(made):
            lives.put(at(number), each)
        assert len(lives) == 1
        assert lives.get(at(2)) is made[2]
        await lives.close()

    on_loop(test())


def test_what_nobody_asks_for_leaves_after_a_while() -> None:
    async def test() -> None:
        lives, made = StreamCache(), [live(), live()]
        lives.put(at(0), made[0])
        lives.put(at(1), made[1])
        for _ in range(5):
            pass_time(StreamLimits().idle_seconds / 2)
            await settled()
            assert lives.get(at(1)) is made[1]
        assert made[0].producer.closed
        pass_time(2 * StreamLimits().idle_seconds)
        await settled()
        assert len(lives) == 0
        assert lives._timer is None
        await asyncio.gather(*[each.producer.wait_closed() for each in made])

    on_loop(test())


def test_one_whose_client_would_have_asked_again_is_closed_sooner() -> None:
    async def test() -> None:
        limits = StreamLimits()
        lives, made = StreamCache(limits), [live() for _ in range(3)]
        for number, each in enumerate(made):
            lives.put(at(number), each)
        made[0].eager = made[1].eager = True
        made[1].parked = 1
        pass_time(limits.silent_seconds + 1)
        lives._sweep()
        assert [each.producer.closed for each in made] == [True, False, False]
        made[1].parked = 0  # its request was answered just now
        lives._sweep()
        assert not made[1].producer.closed
        pass_time(limits.silent_seconds + 1)
        lives._sweep()
        assert [each.producer.closed for each in made] == [True, True, False]
        await lives.close()

    on_loop(test())
