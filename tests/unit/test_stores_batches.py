"""Batches: who goes with whom, and who gets what."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.support.loop import on_loop, until
from trickleweb.stores.batches import Batches


class Desk:
    """Work that waits until it may go on, and answers each item with ten times it; 13 is an error."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.unheard: list[tuple[int, int]] = []
        self.gate = asyncio.Event()

    def open(self, calls: int = 3, most_bytes: int = 100) -> Batches[int, int]:
        note = lambda item, result: self.unheard.append((item, result))  # noqa: E731
        return Batches(self.work, calls=calls, most_bytes=most_bytes, weight=lambda item: item, unheard=note)

    async def work(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        await self.gate.wait()
        if 13 in items:
            raise ValueError("13")
        return [10 * item for item in items]


def test_calls_that_come_meanwhile_go_together_within_bounds() -> None:
    async def test() -> None:
        desk = Desk()
        batches = desk.open()
        first = asyncio.ensure_future(batches.call(1))
        await until(lambda: bool(desk.batches))
        rest = asyncio.gather(*(batches.call(item) for item in (2, 3, 4, 60, 70, 500, 5)))
        await asyncio.sleep(0)
        desk.gate.set()
        assert (await first, list(await rest)) == (10, [20, 30, 40, 600, 700, 5000, 50])
        assert desk.batches == [[1], [2, 3, 4], [60], [70], [500], [5]]
        assert await batches.call(6) == 60
        assert not desk.unheard

    on_loop(test())


def test_an_error_is_that_of_its_batch() -> None:
    async def test() -> None:
        desk = Desk()
        desk.gate.set()
        batches = desk.open()
        results = await asyncio.gather(*(batches.call(each) for each in (1, 13, 2, 3)), return_exceptions=True)
        assert [repr(each) for each in results] == [*["ValueError('13')"] * 3, "30"]

    on_loop(test())


def test_a_caller_that_leaves_is_not_waited_for_and_its_result_is_noted() -> None:
    async def test() -> None:
        desk = Desk()
        batches = desk.open()
        calls = [asyncio.ensure_future(batches.call(each)) for each in (1, 2)]
        await until(lambda: bool(desk.batches))
        late = asyncio.ensure_future(batches.call(3))
        await asyncio.sleep(0)
        for each in (calls[0], late):
            each.cancel()
        desk.gate.set()
        assert await calls[1] == 20
        assert await batches.call(4) == 40
        assert desk.unheard == [(1, 10)]
        assert desk.batches == [[1, 2], [4]]

    on_loop(test())


@pytest.mark.parametrize("turns", range(6))
def test_a_result_is_heard_or_noted_whenever_its_caller_is_cancelled(turns: int) -> None:
    async def test() -> None:
        desk = Desk()
        desk.gate.set()
        call = asyncio.ensure_future(desk.open().call(1))
        for _ in range(turns):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait((call,))
        for _ in range(5):
            await asyncio.sleep(0)
        heard = not call.cancelled()
        assert heard + len(desk.unheard) == len(desk.batches)

    on_loop(test())


def test_closing_fails_all_calls() -> None:
    async def test() -> None:
        desk = Desk()
        batches = desk.open(calls=1)
        calls = [asyncio.ensure_future(batches.call(each)) for each in (1, 2)]
        await until(lambda: bool(desk.batches))
        await batches.close()
        await batches.close()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [repr(each) for each in results] == ["LedgerUnavailable('the ledger is closed')"] * 2

    on_loop(test())
