"""Places for requests that wait: bounded, shared, with one timer, and without a task where a stream is waited for."""

import asyncio

import pytest

from tests.support.loop import on_loop
from tests.support.origins import event, get, output
from tests.support.programs import Fleet, begun, pass_time, replied, settled, with_fleet
from trickles.service import Deferred, Refusal, Reply
from trickleweb import App, Request, Response
from trickleweb.errors import LedgerUnavailable
from trickleweb.events import TopicEvents
from trickleweb.server.errors import Busy
from trickleweb.server.limits import StreamLimits
from trickleweb.server.parking import Parking
from trickleweb.stores import MemoryTopics

BUSY = Reply(refusal=Refusal.BUSY)
HOST = "192.0.2.1"
SECONDS = 4.0


class House:
    """A parking; `ended` are the numbers of the held requests whose wait is over, in order."""

    def __init__(self, parked: int = 8) -> None:
        self.ended: list[int] = []
        self.errors: list[Exception] = []
        self.parking = Parking(StreamLimits(parked=parked, parked_seconds=SECONDS), self.errors.append)

    def hold(self, number: int, host: str = HOST) -> Deferred:
        return self.parking.hold(host, lambda: self.ended.append(number))


async def reply_of(deferred: Deferred) -> Reply:
    async with asyncio.timeout(1):
        return await replied(deferred)


def test_a_held_request_is_answered_once_and_leaves_nothing() -> None:
    async def test() -> None:
        house = House()
        held, other = house.hold(1), house.hold(2)
        assert house.parking.busy
        house.parking.answer(held, Reply(end=7))
        house.parking.answer(held, Reply(end=8))
        assert await reply_of(held) == Reply(end=7)
        assert house.ended == [1]
        house.parking.answer(other, LedgerUnavailable("gone"))
        assert await reply_of(other) == BUSY
        assert [type(each) for each in house.errors] == [LedgerUnavailable]
        assert (house.parking.busy, len(house.parking._shares)) == (False, 0)

    on_loop(test())


def test_one_timer_answers_those_that_waited_long_with_nothing() -> None:
    async def test() -> None:
        house = House()
        first = [house.hold(each) for each in range(3)]
        pass_time(SECONDS / 2)
        later = house.hold(3)
        house.parking.answer(first[1], BUSY)
        pass_time(SECONDS / 2 + 1)
        assert [await reply_of(each) for each in first] == [Reply(), BUSY, Reply()]
        assert house.ended == [1, 0, 2]
        pass_time(SECONDS / 2)
        assert await reply_of(later) == Reply()
        last = house.hold(4)
        pass_time(SECONDS + 1)
        assert await reply_of(last) == Reply()

    on_loop(test())


def test_the_host_with_most_places_gives_one_away() -> None:
    async def test() -> None:
        house = House(parked=3)
        held = [house.hold(each) for each in range(3)]
        with pytest.raises(Busy):
            house.hold(3)
        house.hold(4, "198.51.100.1")
        assert await reply_of(held[0]) == BUSY
        assert house.ended == [0]
        await house.parking.close()
        assert [await reply_of(each) for each in held] == [BUSY] * 3
        assert not house.parking.busy

    on_loop(test())


def streams(topics: MemoryTopics) -> App:
    """An application whose events are those of one topic."""
    app = App(topics=topics)
    stream = app.events("topic", TopicEvents(app))

    @app.get("/")
    async def watch(request: Request) -> Response:
        return Response.events(stream(topic="t"), request)

    return app


def test_streams_wait_and_move_to_another_replica_without_a_task_each() -> None:
    topics = MemoryTopics()

    async def test(fleet: Fleet) -> None:
        first, second = fleet.two()
        _, known = await begun(first, get("/"))
        wanted = event(b"", known, (known.stop or 0, 1 << 20))
        parked = [first.handle(wanted)]
        await settled(50)
        tasks = len(asyncio.all_tasks())
        parked += [second.handle(wanted._replace(connection=bytes([each] * 8))) for each in range(20)]
        await settled(50)
        assert len(asyncio.all_tasks()) <= tasks + 2  # that follow the topic, for all
        await topics.publish("t", b"news")
        for each in parked:
            assert b"data: news\n\n" in output(await replied(each))
        assert not second.busy

    with_fleet(lambda: streams(topics), test)
