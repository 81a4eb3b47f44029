"""A process that does numbered jobs at most once: `python -m tests.support.ledger_program LEDGER EFFECTS [MODE]`.

It claims the jobs 0, 1, 2 ... whose numbers come on standard input, one to a line. For each that is new it appends a
line to EFFECTS, and completes it; in the mode `hold` it does neither, in the mode `adopt` it does what is lost as well.
It answers every line with where the job stood.
"""

import os
import sys

from trickleweb.ledger import Done, New, ledger_key
from trickleweb.stores.ledger_file import LedgerFile

NOW = 1_700_000_000_000_000


def key(job: int) -> bytes:
    """The key of a job."""
    return ledger_key("job", job.to_bytes(4, "big"))


def main(path: str, effects: str, mode: str = "") -> None:
    """Do what is asked until the input ends."""
    ledger = LedgerFile(path, durable=False, wait_s=60)
    out = os.open(effects, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    print("ready", flush=True)
    for line in sys.stdin:
        job = int(line)
        claim = (ledger.adopt if mode == "adopt" else ledger.claim)(key(job), now=NOW)
        if isinstance(claim, New) and mode != "hold":
            os.write(out, b"%d\n" % job)
            ledger.complete(key(job), b"done %d" % job, now=NOW)
        told = claim.plan.decode() if isinstance(claim, Done) else type(claim).__name__
        print(told, flush=True)
    ledger.close()
    os.close(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
