"""A flood of bogus datagrams of one kind to a replica on loopback, at a fixed rate.

Prints {"ready": true} when all of it is made, floods for so many seconds, and prints {"sent": N, "answers": N,
"seconds": S}. Sends to nothing but loopback.
"""

import argparse
import select
import socket
import time
from contextlib import suppress

from benchmarks.peers.contract import tell
from benchmarks.peers.trickles_stream import IDENTITY, REQUEST
from benchmarks.support.bogus import BOGUS, datagrams, makings
from benchmarks.support.net import LOOPBACK
from trickles.handshake import identity_public
from trickles.tools.attacks.live import LiveTarget
from trickles.tools.attacks.stage import Bounds, Stage

STEP_SECONDS = 0.005
MOST_BYTES = 1 << 16


def flood(port: int, made: list[bytes], rate: int, seconds: float) -> None:
    """Send in small steps, and throw away what comes back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((LOOPBACK, port))
        sock.setblocking(False)
        sent = answers = 0
        began = now = time.monotonic()
        while now < began + seconds:
            for _ in range(int((now - began) * rate) - sent):
                with suppress(BlockingIOError):
                    sock.send(made[sent % len(made)])
                sent += 1
            answers += drained(sock)
            select.select([], [], [], STEP_SECONDS)
            now = time.monotonic()
        tell({"sent": sent, "answers": answers, "seconds": now - began})


def drained(sock: socket.socket) -> int:
    """How many datagrams had come."""
    count = 0
    with suppress(BlockingIOError):
        while True:
            sock.recv(MOST_BYTES)
            count += 1
    return count


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--connect", type=int, required=True, help="port on loopback")
    options.add_argument("--kind", choices=list(BOGUS), required=True)
    options.add_argument("--rate", type=int, default=8000)
    options.add_argument("--seconds", type=float, default=5.0)
    arguments = options.parse_args()
    target = LiveTarget(
        (LOOPBACK, arguments.connect),
        identity=identity_public(IDENTITY),
        trust=lambda _: False,
        rate=arguments.rate,
        seconds=60.0,
    )
    with target:
        stage = Stage(target, Bounds(request=REQUEST, most_datagrams=1 << 20), str(time.time_ns()))
        count = int(arguments.rate * arguments.seconds)
        made = datagrams(arguments.kind, makings(stage), count)
    tell({"ready": True})
    flood(arguments.connect, made, arguments.rate, arguments.seconds)


if __name__ == "__main__":
    main()
