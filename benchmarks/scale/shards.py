"""A scene of the ledger: claims at shards, each key at the one that rendezvous hashing chooses, and one shard dead."""

import hashlib
from collections import Counter
from collections.abc import Sequence

from benchmarks.scale.fleet import Fleet
from benchmarks.scale.world import Curve, Outcomes, Scale, percentile_of
from trickles.limits import MILLISECOND, SECOND

CLAIM = 1 * MILLISECOND  # of a shard's time: `python -m benchmarks ledgers` found 400 to 2,800 claims/s an engine
SHARDS = (1, 2, 4, 8)
DEAD_FROM, DEAD_UNTIL, STOP = 5 * SECOND, 10 * SECOND, 15 * SECOND
REPEATED = 0.01  # share of unsafe requests that are sent again within 5 s: probes, failovers, users


def place_of(key: bytes, ids: Sequence[bytes]) -> int:
    """Return the index of a key's shard, as `trickleweb.stores.sharded` places it."""
    return max(range(len(ids)), key=lambda each: hashlib.sha256(ids[each] + key).digest())


def ledger(scale: Scale) -> Outcomes:
    """Claim at so many shards at 80 % of their rate; one is dead for five seconds, and its claims are refused (503)."""
    columns = ("claims/s", "fullest / mean", "wait p50, ms", "p99", "refused, % of 5 s", "twice if others took over")
    done = Outcomes("Shards of the ledger, one dead from 5 to 10 s", columns, "share of claims refused")
    for count in SHARDS:
        done.add(*claim(scale, count))
    return done


def claim(scale: Scale, count: int) -> tuple[str, Sequence[float], Curve]:
    """Let claims arrive at random times, and count what becomes of them."""
    rng, fleet = scale.random(f"claims {count}"), Fleet(count)
    ids = [rng.randbytes(16) for _ in range(count)]
    fleet.plan_outage(0, DEAD_FROM, DEAD_UNTIL)
    gap = CLAIM / (0.8 * count)
    placed, refused, all_of = Counter[int](), [0] * (STOP // SECOND), [0] * (STOP // SECOND)
    waits, now, twice = [0] * 1000, 0.0, 0.0
    while (now := now + rng.expovariate(1) * gap) < STOP:
        at = int(now)
        shard = place_of(rng.randbytes(16), ids)
        placed[shard] += 1
        all_of[at // SECOND] += 1
        if fleet.is_down(shard, at):
            refused[at // SECOND] += 1
            twice += REPEATED
        else:
            done = fleet.serve(shard, at, CLAIM)
            waits[min(max(done - at, 0) // MILLISECOND, 999)] += 1
    during = slice(DEAD_FROM // SECOND, DEAD_UNTIL // SECOND)
    fullest = max(placed.values()) * count / placed.total()
    share = 100 * sum(refused[during]) / sum(all_of[during])
    row = (placed.total() * SECOND / STOP, fullest, percentile_of(waits, 50), percentile_of(waits, 99), share, twice)
    shares = [bad / good for bad, good in zip(refused, all_of, strict=True)]
    return f"{count} shards", row, Curve(f"{count} shards", [float(each) for each in range(len(shares))], shares)
