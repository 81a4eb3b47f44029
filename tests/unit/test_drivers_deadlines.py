"""Deadlines of many connections on one timer: order, cancelling, and errors."""

import asyncio
from typing import Any

from tests.support.loop import on_loop, until
from trickles.drivers.deadlines import SLOT, Deadlines
from trickles.drivers.world import monotonic_us


def test_calls_come_in_order_and_cancelled_ones_do_not() -> None:
    async def test() -> None:
        deadlines, made = Deadlines(), list[int]()
        now = monotonic_us()
        calls = [lambda each=each: made.append(each) for each in range(6)]
        slots = [deadlines.set(now + (6 - each) * 4 * SLOT, calls[each]) for each in range(6)]
        deadlines.cancel(slots[2], calls[2])
        deadlines.cancel(slots[5], calls[5])
        await until(lambda: len(made) == 4)
        assert made == [4, 3, 1, 0]
        assert monotonic_us() >= now + 6 * 4 * SLOT
        deadlines.cancel(slots[0], calls[0])
        assert (deadlines._slots, deadlines._order) == ({}, [])

    on_loop(test())


def test_an_earlier_deadline_is_not_kept_by_a_later_one() -> None:
    async def test() -> None:
        deadlines, made = Deadlines(), list[str]()
        deadlines.set(monotonic_us() + 3600 * 1_000_000, lambda: made.append("in an hour"))
        deadlines.set(monotonic_us() + SLOT, lambda: made.append("now"))
        await until(lambda: made == ["now"])

    on_loop(test())


def test_a_call_that_is_overdue_again_lets_the_loop_turn() -> None:
    async def test() -> None:
        deadlines, made = Deadlines(), list[str]()

        def again() -> None:
            made.append("call")
            if len(made) < 6:
                asyncio.get_running_loop().call_soon(made.append, "turn")
                deadlines.set(0, again)

        deadlines.set(0, again)
        await until(lambda: len(made) == 7)
        assert made == ["call", "turn"] * 3 + ["call"]

    on_loop(test())


def test_a_call_that_raises_ends_no_other() -> None:
    async def test() -> None:
        deadlines, made, errors = Deadlines(), list[int](), list[dict[str, Any]]()
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))

        def fail() -> None:
            raise ValueError("a call that fails")

        now = monotonic_us()
        for call in (lambda: made.append(1), fail, lambda: made.append(2)):
            deadlines.set(now + SLOT, call)
        deadlines.set(now + 9 * SLOT, lambda: made.append(3))
        await until(lambda: made == [1, 2, 3])
        assert [str(each["exception"]) for each in errors] == ["a call that fails"]

    on_loop(test())
