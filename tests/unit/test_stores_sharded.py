"""One ledger over several: a shard that is away affects its own keys."""

import pytest

from tests.support.immediate import at_once
from tests.support.loop import on_loop
from trickles.stores import NO_STORE
from trickleweb.ledger import Claim, LedgerAway, LedgerUnavailable, LedgerUnwritable, New, Pending, ledger_key
from trickleweb.stores import MemoryLedger, SharedMemory
from trickleweb.stores.sharded import ShardedLedger

KEYS = [ledger_key("n", bytes([at])) for at in range(200)]


class Shard(MemoryLedger):
    """A ledger that may be away, and that may never have been seen."""

    def __init__(self, memory: SharedMemory | None = None) -> None:
        super().__init__(memory)
        self.away, self.seen, self.looks = False, True, 0

    @property
    def store_id(self) -> bytes:
        return super().store_id if self.seen else NO_STORE

    def look(self) -> None:
        self.looks += 1
        if self.away:
            raise LedgerUnavailable("away")

    async def claim(self, key: bytes, *, now: int) -> Claim:
        if self.away:
            raise LedgerUnavailable("away")
        return await super().claim(key, now=now)

    async def expire(self, *, before: int) -> int:
        if self.away:
            raise LedgerUnavailable("away")
        return await super().expire(before=before)


def test_the_order_of_shards_does_not_matter_and_all_have_keys() -> None:
    memories = [SharedMemory() for _ in range(4)]
    one = ShardedLedger([Shard(each) for each in memories])
    two = ShardedLedger([Shard(each) for each in reversed(memories)])
    assert one.store_id == two.store_id
    assert [at_once(one.claim(key, now=1)) for key in KEYS] == [New()] * len(KEYS)
    assert [at_once(two.claim(key, now=1)) for key in KEYS] == [Pending()] * len(KEYS)
    assert all(20 < len(each.rows) < 90 for each in memories)
    fewer = ShardedLedger([Shard(each) for each in memories[1:]])
    assert fewer.store_id != one.store_id
    kept = [key for key in KEYS if key not in memories[0].rows]
    assert [at_once(fewer.claim(key, now=1)) for key in kept] == [Pending()] * len(kept)


def test_a_shard_that_is_away_affects_its_own_keys() -> None:
    shards = [Shard(memory) for memory in (SharedMemory(), SharedMemory())]
    ledger = ShardedLedger(shards)
    known = ledger.store_id
    for key in KEYS:
        at_once(ledger.claim(key, now=1))
    shards[0].away = True
    with pytest.raises(LedgerUnavailable, match="away"):
        ledger.look()
    assert shards[1].looks == 1
    standing = []
    for key in KEYS:
        try:
            standing.append(at_once(ledger.claim(key, now=1)))
        except LedgerUnavailable:
            standing.append(New())
    assert standing.count(Pending()) == len(shards[1]._shared.rows)
    assert ledger.store_id == known
    with pytest.raises(LedgerUnavailable):
        on_loop(ledger.expire(before=2))


def test_no_key_has_a_place_before_all_shards_were_seen() -> None:
    shards = [Shard(), Shard()]
    shards[1].seen = False
    ledger = ShardedLedger(shards)
    assert ledger.store_id == NO_STORE
    for call in (ledger.claim, ledger.adopt):
        with pytest.raises(LedgerAway):
            at_once(call(KEYS[0], now=1))
    with pytest.raises(LedgerUnavailable) as raised:
        at_once(ledger.complete(KEYS[0], b"", now=1))
    assert not isinstance(raised.value, LedgerUnwritable)
    assert shards[1].looks > 0
    shards[1].seen = True
    assert at_once(ledger.claim(KEYS[0], now=1)) == New()
