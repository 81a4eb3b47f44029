"""The command: with the word `random` it draws from all random sources instead."""

import os
import random
import signal
from collections.abc import Sequence
from pathlib import Path

from trickles.drivers.world import NoncePool

POOL = NoncePool()
POOL(8)  # of a block that was drawn before any fork


def main(words: Sequence[str]) -> int:
    """Say who this is, and wait for a signal; or say what chance gives, and end."""
    if words:
        print(POOL(8).hex(), random.getrandbits(64), os.urandom(8).hex(), flush=True)
        return 0
    name = Path("/proc/self/comm").read_text().strip()
    descriptors = ",".join(str(each) for each in range(100) if is_open(each))
    print(os.getpid(), os.getppid(), os.getpgid(0), name, descriptors, flush=True)
    signal.pause()
    return 0


def is_open(descriptor: int) -> bool:
    """Whether there is such a descriptor."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
