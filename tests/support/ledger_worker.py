"""A process that does numbered jobs at most once: `python -m tests.support.ledger_worker LEDGER EFFECTS MODE COUNT`.

LEDGER is a file or a URL. Sixteen at a time it claims the jobs 0 to COUNT - 1. For each that is new it appends a line
to EFFECTS, and completes it; in the mode `hold` it does neither. It prints a line for each claim, and stays.
"""

import asyncio
import os
import sys

from trickleweb.ledger import Ledger, New, ledger_key
from trickleweb.stores import SqliteLedger
from trickleweb.stores.postgresql import PostgresLedger
from trickleweb.stores.redis import RedisLedger, RedisLimits

NOW = 1_700_000_000_000_000
LANES = 16


def key(job: int) -> bytes:
    """The key of a job."""
    return ledger_key("job", job.to_bytes(4, "big"))


async def lane(ledger: Ledger, out: int, mode: str, jobs: range) -> None:
    """Do jobs one after another."""
    for job in jobs:
        claim = await ledger.claim(key(job), now=NOW)
        if claim == New() and mode != "hold":
            os.write(out, b"%d\n" % job)
            await ledger.complete(key(job), b"done %d" % job, now=NOW)
        print(job, flush=True)


async def main(place: str, effects: str, mode: str, count: int) -> None:
    """Work until killed."""
    ledger: Ledger
    if place.startswith("postgres"):
        ledger = PostgresLedger(place)
    else:
        ledger = RedisLedger(place, RedisLimits(lease_s=1.0)) if "://" in place else SqliteLedger(place)
    out = os.open(effects, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    await asyncio.gather(*(lane(ledger, out, mode, range(first, count, LANES)) for first in range(LANES)))
    await asyncio.Event().wait()


if __name__ == "__main__":
    _, place_, effects_, mode_, count_ = sys.argv
    asyncio.run(main(place_, effects_, mode_, int(count_)))
