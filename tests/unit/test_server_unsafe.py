"""Unsafe requests at most once, as replicas ask the ledger for it."""

import asyncio

import pytest

from tests.support.programs import on_loop, settled
from trickleweb.ledger import Claim, Done, LedgerUnavailable, Lost, New, Pending
from trickleweb.plain import StateTooLarge
from trickleweb.server import unsafe as once_module
from trickleweb.server.drain import Drain
from trickleweb.server.unsafe import AtMostOnce
from trickleweb.stores import MemoryLedger, SharedMemory

KEY = bytes(32)


class Watched(MemoryLedger):
    """Counts what it is asked, and fails the first `failures` completions."""

    def __init__(self, shared: SharedMemory, owner: str, failures: int = 0) -> None:
        super().__init__(shared, owner)
        self.claims = 0
        self.failures = failures

    async def claim(self, key: bytes, *, now: int) -> Claim:
        self.claims += 1
        return await super().claim(key, now=now)

    async def complete(self, key: bytes, plan: bytes, *, now: int) -> bytes:
        if plan == b"too large":
            raise StateTooLarge
        if self.failures:
            self.failures -= 1
            raise LedgerUnavailable("locked")
        return await super().complete(key, plan, now=now)


def test_one_claims_and_the_others_wait_for_what_comes_of_it() -> None:
    async def test() -> None:
        shared = SharedMemory()
        replicas = [AtMostOnce(Watched(shared, str(number)), lambda: 1, Drain()) for number in range(3)]
        assert await replicas[0].claim(KEY, repeatable=False) == New()
        waiting = [asyncio.ensure_future(each.claim(KEY, repeatable=True)) for each in replicas]
        await settled(100)
        assert not any(each.done() for each in waiting)
        assert await replicas[0].kept(KEY) is None
        assert await replicas[0].complete(KEY, b"plan") == b"plan"
        assert await asyncio.gather(*waiting) == 3 * [Done(b"plan")]
        assert await replicas[1].complete(KEY, b"another") == b"plan"
        assert await replicas[2].kept(KEY) == b"plan"

    on_loop(test())


def test_what_is_lost_is_told_or_taken_over_by_one() -> None:
    async def test() -> None:
        shared = SharedMemory(dead={"dead"})
        replicas = [AtMostOnce(Watched(shared, str(number)), lambda: 1, Drain()) for number in range(4)]
        await MemoryLedger(shared, "dead").claim(KEY, now=1)
        assert await replicas[0].claim(KEY, repeatable=False) == Lost()
        claims = [asyncio.ensure_future(each.claim(KEY, repeatable=True)) for each in replicas]
        await asyncio.wait(claims, return_when=asyncio.FIRST_COMPLETED)
        await settled(100)
        done = [each for each in claims if each.done()]
        assert [each.result() for each in done] == [New()]
        await replicas[0].complete(KEY, b"plan")
        assert sorted(type(each.result()).__name__ for each in (await asyncio.wait(claims))[0]) == 3 * ["Done"] + [
            "New"
        ]

    on_loop(test())


def test_looks_at_what_others_are_at_work_on_become_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 8:
            shared.dead.add("slow")

    async def test() -> None:
        assert await MemoryLedger(shared, "slow").claim(KEY, now=1) == New()
        monkeypatch.setattr(asyncio, "sleep", sleep)
        assert (
            await AtMostOnce(MemoryLedger(shared, "other"), lambda: 1, Drain()).claim(KEY, repeatable=False) == Lost()
        )
        monkeypatch.undo()

    shared = SharedMemory()
    on_loop(test())
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (once_module.PAUSE_S, once_module.LONGEST_PAUSE_S)


@pytest.mark.slow
def test_what_cannot_be_kept_now_is_kept_when_it_is_asked_for_again() -> None:
    async def test() -> None:
        shared = SharedMemory()
        once, other = AtMostOnce(Watched(shared, "one", failures=2), lambda: 1, Drain()), MemoryLedger(shared, "other")
        assert await once.claim(KEY, repeatable=False) == New()
        for _ in range(2):
            with pytest.raises(LedgerUnavailable):
                await (once.complete(KEY, b"plan") if not once._unkept else once.claim(KEY, repeatable=False))
            assert await other.claim(KEY, now=1) == Pending()
        assert await once.claim(KEY, repeatable=False) == Done(b"plan")
        assert await other.claim(KEY, now=1) == Done(b"plan")
        assert len(once._unkept) == 0

    on_loop(test())


def test_what_the_ledger_will_never_keep_is_told() -> None:
    async def test() -> None:
        once = AtMostOnce(Watched(SharedMemory(), "one"), lambda: 1, Drain())
        with pytest.raises(StateTooLarge):
            await once.complete(KEY, b"too large")
        assert len(once._unkept) == 0
        once.close()

    on_loop(test())
