"""A listener of this process as the target of attacks, in virtual time: the same figures in every run."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Sequence
from hashlib import sha256
from random import Random

from trickles.handshake import certify, verify_certificate_untrusted
from trickles.keyring import Epoch, Keyring
from trickles.limits import MILLISECOND
from trickles.listener import Listener
from trickles.service import Continuation, Deferred, Event, Reply
from trickles.tools.attacks.stage import ATTACKER, LATE_OUTPUT
from trickles.wire.kinds import Address

START = 1_700_000_000_000_000  # wall-clock microseconds
ROUND_TRIP = 10 * MILLISECOND
ADDRESSES: tuple[Address, ...] = (("192.0.2.7", 40_000), ("198.51.100.66", 7))  # attacker, victim
KEYRING = Keyring((certify(Epoch(1, sha256(b"an attacked fleet").digest()), sha256(b"its identity").digest()),))

Make = Callable[[Callable[[int], bytes]], Listener]
"""Makes a listener from its entropy."""


class Endless:
    """A service with endless output: the same bytes over and over."""

    _LOOP = bytes(range(256)) * 4096

    def handle(self, event: Event) -> Reply:
        room, chunks = event.budget, []
        for start, stop in event.wants:
            size = min(stop - start, room, len(self._LOOP) - 256)
            if size > 0:
                chunks.append((start, memoryview(self._LOOP)[start % 256 : start % 256 + size]))
                room -= size
        begun = Continuation(b"endless", 0, None, event.input_offset + len(event.input))
        return Reply(tuple(chunks), begun if event.continuation is None else None)


class EndlessWork:
    """A service with the same output up to a high offset, and at work without end on what is after that."""

    def __init__(self) -> None:
        self._output = Endless()

    def handle(self, event: Event) -> Reply | Deferred:
        return Deferred() if event.wants and event.wants[0][0] >= LATE_OUTPUT else self._output.handle(event)


class DeskTarget:
    """A listener, two addresses and a clock that moves by a round trip with each question."""

    certificate = verify_certificate_untrusted(KEYRING.epochs[0].certificate, None)
    victim_elsewhere = True

    def __init__(self, make: Make, seed: int = 1) -> None:
        self.listener = make(Random(seed).randbytes)
        self.now = START

    def ask(self, datagrams: Sequence[bytes], *, sender: int = ATTACKER) -> list[bytes]:
        """Let the listener handle all datagrams at one instant."""
        handle, source = self.listener.handle, ADDRESSES[sender]
        bursts = [burst for each in datagrams for burst in handle(each, source, now=self.now)]
        self.now += ROUND_TRIP
        bursts += self.listener.poll(self.now)
        return [each for burst in bursts if burst.destination == source for each in burst.datagrams()]

    def memory_bytes(self) -> int:
        """Return the bytes of Python objects in this process, traced from the first call on, which returns 0."""
        if not tracemalloc.is_tracing():
            tracemalloc.start()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    def close(self) -> None:
        tracemalloc.stop()

    def pause(self, duration: int) -> None:
        self.now += duration
