"""How bodies are made: framed part by part, ahead of what is asked for and no further, closed whatever happens."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from itertools import count
from typing import Any

import pytest

from tests.support.loop import until
from tests.support.programs import on_loop, settled
from trickleweb.bodies import Step, Stepped, Steps, Streamed
from trickleweb.bodies.iteration import (
    DEFAULT_BODY_LIMITS,
    BadPart,
    BodyLimits,
    Part,
    StepTooLarge,
    WrongLength,
    abandon,
    framed,
)
from trickleweb.containment import BrokenOff
from trickleweb.http1 import BodyDelivery
from trickleweb.server.errors import Evicted
from trickleweb.server.limits import DEFAULT_STREAM_LIMITS as BOUNDS
from trickleweb.server.producer import PartsPump, Producer, ProducerClosed

CHUNKED = BodyDelivery(None, chunked=True, has_body=True, keep_alive=True)
UNUSUAL = (SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError)
BARE = BodyDelivery(None, chunked=False, has_body=True, keep_alive=False)


def of_length(size: int) -> BodyDelivery:
    return BodyDelivery(size, chunked=False, has_body=True, keep_alive=True)


def both(*items: Any) -> list[Any]:
    """The items from an async and from a plain iterable."""

    async def some() -> AsyncIterator[Any]:
        for item in items:
            yield item

    return [some(), iter(items)]


def parts_of(body: Stepped | Streamed, delivery: BodyDelivery, limits: BodyLimits = DEFAULT_BODY_LIMITS) -> list[Part]:
    async def test() -> list[Part]:
        return [part async for part in framed(body, delivery, limits)]

    return on_loop(test())


@pytest.mark.parametrize("kind", [0, 1])
def test_each_part_is_a_chunk(kind: int) -> None:
    items = ("é", b"", bytearray(b"abc"), memoryview(b"defghijklmnopqrst"))
    chunked = parts_of(Streamed(both(*items)[kind]), CHUNKED)
    assert [part.data for part in chunked] == [
        b"2\r\n\xc3\xa9\r\n", b"", b"3\r\nabc\r\n", b"11\r\ndefghijklmnopqrst\r\n", b"0\r\n\r\n",
    ]  # fmt: skip
    for delivery in (BARE, of_length(22)):
        assert b"".join(part.data for part in parts_of(Streamed(both(*items)[kind]), delivery)) == (
            b"\xc3\xa9abcdefghijklmnopqrst"
        )


@pytest.mark.parametrize("kind", [0, 1])
def test_steps_carry_their_cursors(kind: int) -> None:
    steps = Steps("numbers", lambda cursor: both((b"a", 1), ("", 2), (b"b", 3))[kind])
    assert parts_of(Stepped(steps), CHUNKED) == [
        Part(b"1\r\na\r\n", 1), Part(b"", 2), Part(b"1\r\nb\r\n", 3), Part(b"0\r\n\r\n", None, step=False),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("size", [3, 5])
def test_another_length_than_was_told_is_an_error(kind: int, size: int) -> None:
    with pytest.raises(WrongLength, match=f"{size}"):
        parts_of(Streamed(both(b"ab", b"cd")[kind]), of_length(size))


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("bad", [1, None, [b"x"], ("x",)])
def test_what_is_no_data_is_an_error(kind: int, bad: object) -> None:
    with pytest.raises(BadPart):
        parts_of(Streamed(both(b"ab", bad)[kind]), CHUNKED)
    with pytest.raises(BadPart):
        parts_of(Stepped(Steps("bad", lambda cursor: both((b"ab", 1), bad)[kind])), CHUNKED)


def test_a_step_too_large_is_an_error_that_names_the_way_out() -> None:
    with pytest.raises(StepTooLarge, match="'large' gave 11 bytes, over 10: yield less with each cursor"):
        parts_of(Stepped(Steps("large", lambda cursor: both((bytes(11), 1))[0])), CHUNKED, BodyLimits(step_bytes=10))


class Noted:
    """An endless source of either kind, which notes when it is closed."""

    def __init__(self) -> None:
        self.closed = 0
        self.seen: set[int] = set()

    def plain(self) -> Iterator[bytes]:
        try:
            for _ in count():
                self.seen.add(threading.get_ident())
                yield b"x" * 1000
        finally:
            self.closed += 1

    async def slowly(self) -> AsyncIterator[bytes]:
        try:
            for _ in count():
                yield b"x" * 1000
        finally:
            self.closed += 1


@pytest.mark.parametrize("kind", ["plain", "slowly"])
def test_a_source_is_closed_when_nobody_takes_more(kind: str) -> None:
    async def test() -> None:
        noted = Noted()
        parts = framed(Streamed(getattr(noted, kind)()), CHUNKED)
        await anext(parts)
        assert noted.closed == 0
        await parts.aclose()
        assert noted.closed == 1
        assert threading.get_ident() not in noted.seen

    on_loop(test())


@pytest.mark.parametrize("kind", ["plain", "slowly"])
def test_a_source_of_which_nothing_was_taken_can_be_closed(kind: str) -> None:
    class Closing:
        closed = 0

        def __iter__(self) -> Iterator[bytes]:
            return iter(())

        def close(self) -> None:
            self.closed += 1
            raise OSError

        async def aclose(self) -> None:
            self.close()

    class Plain(Closing):
        aclose = None  # type: ignore[assignment]

    async def test() -> None:
        body = Closing() if kind == "slowly" else Plain()
        await abandon(Streamed(body))
        assert body.closed == 1

    on_loop(test())


def test_a_plain_sources_item_is_there_before_the_next_one_is() -> None:
    gate = threading.Event()

    def slow() -> Iterator[bytes]:
        yield b"first"
        assert gate.wait(60)
        yield b"second"

    async def test() -> None:
        parts = framed(Streamed(slow()), BARE)
        assert (await anext(parts)).data == b"first"
        gate.set()
        assert [part.data async for part in parts] == [b"second"]

    on_loop(test())


def test_a_plain_source_that_is_closed_at_work_ends_when_it_can() -> None:
    gate, closed = threading.Event(), list[bool]()

    def slow() -> Iterator[bytes]:
        try:
            yield b"first"
            assert gate.wait(60)
            yield b"second"
        finally:
            closed.append(True)

    async def test() -> None:
        producer = Producer(PartsPump(framed(Streamed(slow()), BARE)))
        await producer.news()
        producer.close()
        await settled()
        assert closed == []
        gate.set()
        await producer.wait_closed()
        assert closed == [True]

    on_loop(test())


def test_a_plain_source_sees_the_context_of_its_handler() -> None:
    who: ContextVar[str] = ContextVar("who", default="nobody")

    def some() -> Iterator[str]:
        yield who.get()
        who.set("changed")
        yield "x" * 100_000  # the end of a batch
        yield who.get()

    async def test() -> None:
        who.set("somebody")
        parts = [part.data async for part in framed(Streamed(some()), BARE)]
        assert (parts[0], parts[-1]) == (b"somebody", b"changed")

    on_loop(test())


async def endless(size: int = 1000) -> AsyncIterator[bytes]:
    for number in count():
        yield b"%d" % (number % 10) * size


def test_no_more_is_made_than_is_soon_asked_for() -> None:
    async def test() -> None:
        producer = Producer(PartsPump(framed(Streamed(endless()), BARE)))
        ahead = BOUNDS.ahead_bytes
        await until(lambda: producer.buffer.stop >= ahead)
        await settled(200)
        assert ahead <= producer.buffer.stop < ahead + 1000
        producer.want(5_000_000)
        await until(lambda: producer.buffer.stop >= 5_000_000 + ahead)
        await settled(200)
        assert producer.buffer.stop < 5_000_000 + ahead + 1000
        behind = BOUNDS.behind_bytes
        producer.want(5_000_001)
        assert 5_000_000 - behind - 70_000 < producer.buffer.start <= 5_000_001 - behind
        with pytest.raises(Evicted):
            producer.buffer.parts(0, 10)
        producer.close()
        await producer.wait_closed()

    on_loop(test())


def test_where_there_is_little_room_little_is_made_and_kept() -> None:
    async def test() -> None:
        producer = Producer(PartsPump(framed(Streamed(endless()), BARE)))
        producer.room = lambda: 400_000
        producer.hold(600_000)
        for wanted in range(0, 3_000_000, 50_000):
            producer.want(wanted)
            await settled(30)
            assert producer.buffer.stop < wanted + 102_000 + 1000
        assert producer.buffer.start <= 600_000
        producer.let_go(600_000)
        producer.want(3_000_000)
        assert producer.buffer.kept_bytes < 500_000
        producer.close()
        await producer.wait_closed()

    on_loop(test())


@pytest.mark.slow
def test_marks_of_tiny_steps_are_bounded() -> None:
    async def tiny(cursor: int) -> AsyncIterator[Step]:
        for number in count(cursor):
            yield (b"x" if number % 10 == 0 else b""), number + 1

    async def test() -> None:
        producer = Producer(PartsPump(framed(Stepped(Steps("tiny", tiny), 0), BARE)), cursor=0)
        marks = producer._mark_offsets
        await until(lambda: len(marks) > BOUNDS.marks)
        await settled(2000)
        assert len(marks) == BOUNDS.marks + 1
        assert producer.cursor(0) == (0, 0)
        assert producer.cursor(10) == (10, 100)  # behind the last empty step
        for wanted in range(0, 30_000, 1000):
            producer.want(wanted)
            await until(lambda wanted=wanted: producer.buffer.stop > wanted)  # type: ignore[misc]
            assert producer.cursor(wanted)[0] == wanted
            assert len(marks) <= 3 * BOUNDS.marks
        with pytest.raises(Evicted):
            producer.cursor(0)
        producer.close()
        await producer.wait_closed()

    on_loop(test())


def test_whoever_looks_and_then_waits_misses_nothing() -> None:
    turns = asyncio.Queue[bytes | None]()

    async def told() -> AsyncIterator[bytes]:
        while (item := await turns.get()) is not None:
            yield item

    async def test() -> None:
        producer = Producer(PartsPump(framed(Streamed(told()), BARE)))
        for number in range(50):
            turns.put_nowait(b"x")
            async with asyncio.timeout(60):
                while producer.buffer.stop <= number:
                    await producer.news()
        turns.put_nowait(None)
        await until(lambda: producer.ended)
        await producer.wait_closed()

    on_loop(test())


@pytest.mark.parametrize("error", [ValueError, *UNUSUAL])
def test_a_program_that_breaks_off_is_a_failure(error: type[BaseException]) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"some"
        raise error

    async def test() -> None:
        producer = Producer(PartsPump(framed(Streamed(broken()), BARE)))
        await until(lambda: producer.over)
        assert isinstance(producer.failure, ValueError if error is ValueError else BrokenOff)
        assert not producer.closed
        assert producer.buffer.stop == 4
        await producer.wait_closed()

    on_loop(test())


def test_one_that_is_closed_tells_who_waits_and_keeps_nothing() -> None:
    async def stubborn() -> AsyncIterator[bytes]:
        try:
            yield b"some"
            await asyncio.Event().wait()
        finally:
            raise OSError("last words")

    async def test() -> None:
        at_once = Producer(PartsPump(framed(Streamed(stubborn()), BARE)))
        at_once.close()  # before it has begun
        producer = Producer(PartsPump(framed(Streamed(stubborn()), BARE)))
        await producer.news()
        waiting = asyncio.ensure_future(producer.news())
        await settled()
        producer.close()
        await waiting
        for each in (at_once, producer):
            await each.wait_closed()
            assert isinstance(each.failure, ProducerClosed)
            assert each.buffer.kept_bytes == 0
            assert each.closed

    on_loop(test())
