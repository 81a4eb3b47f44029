"""One cheating client face to face with one to three listeners, in virtual time; every answer is measured."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from tempfile import mkdtemp
from weakref import finalize

from tests.fuzz.cheats.actions import SMALL, Action, Mood
from tests.fuzz.cheats.oracles import Findings
from tests.fuzz.cheats.peer import Cheat
from tests.fuzz.cheats.watch import Watch
from tests.support.fleetkeys import WALL, entropy, ring
from tests.support.toys import Tape
from trickles.drivers.spooldir import SpoolDirectory
from trickles.limits import Limits
from trickles.listener import Listener
from trickles.service import Deferred, Event, Refusal, Reply
from trickles.wire.kinds import Address, Burst, Kind, Suite

KEYS = ring()
LIMITS = Limits(replay_bits=1 << 16)  # or every rotation of the filter takes as much memory as thousands of requests
_MOST_POLLS = 100  # of one wait
_TAPE = Tape()


@dataclass(frozen=True, slots=True)
class Plan:
    """A fleet and the way to it: clocks in microseconds ahead, packets that get lost of a thousand."""

    seed: int = 0
    clocks: tuple[int, ...] = (0,)
    loss: int = 0
    suite: Suite = Suite.SEALED
    spool: bool = False  # the replicas share one, in a directory


@dataclass(slots=True)
class Moody:
    """A service that answers as it is set to."""

    mood: Mood = Mood.STREAM
    waiting: list[tuple[Event, Deferred]] = field(default_factory=list)

    def handle(self, event: Event) -> Reply | Deferred:
        """Answer by mood."""
        mood = self.mood
        if mood is Mood.DEFER:
            self.waiting.append((event, Deferred()))
            return self.waiting[-1][1]
        if mood is Mood.FAIL:
            raise ValueError("a service that fails")
        if mood in (Mood.BUSY, Mood.NOT_HERE):
            return Reply(refusal=Refusal.BUSY if mood is Mood.BUSY else Refusal.NOT_HERE)
        if mood is Mood.SHORT:
            return Reply(tuple((start, b"short") for start, _ in event.wants[:1]))
        return _TAPE.handle(event)

    def resolve(self, count: int) -> None:
        """Answer the oldest."""
        for event, deferred in self.waiting[:count]:
            deferred.resolve(_TAPE.handle(event))
        del self.waiting[:count]


class World:
    """A stage at a desk: answers arrive at once, and time passes only when the client waits."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.now = WALL
        self.cheat = Cheat(plan.suite)
        self.findings = Findings()
        self.services = [Moody() for _ in plan.clocks]
        folder = mkdtemp(prefix="cheats") if plan.spool else ""
        self._removed = finalize(self, shutil.rmtree, folder, ignore_errors=True)
        listeners = [
            Listener(KEYS, each, entropy=entropy(at), limits=LIMITS, spool=SpoolDirectory(folder) if folder else None)
            for at, each in enumerate(self.services)
        ]
        self.replicas = [Watch(each, KEYS, self.findings) for each in listeners]
        self.clocks = list(plan.clocks)
        self.steps = 0
        self._place = 0
        self._arrivals: dict[tuple[bytes, int], int] = {}  # how often a number was sent, by its nonce

    @property
    def source(self) -> Address:
        """Where the client is."""
        return f"192.0.2.{7 + self._place}", 40_000

    def step(self, action: Action) -> None:
        """Do one thing."""
        self.steps += 1
        action.do(self)

    def send(self, replica: int, datagram: bytes) -> None:
        """See Stage."""
        at = replica % len(self.replicas)
        self._arrive(self.replicas[at].handle(datagram, self.source, now=self._clock(at), true=self.now))

    def greet(self, replica: int, wanted: int) -> None:
        """See Stage."""
        epoch = KEYS.newest(self.now)
        self.send(replica, self.cheat.voice.hello(epoch, b"GET\n", wanted=wanted, size=SMALL))

    def wait(self, duration: int) -> None:
        """See Stage."""
        stop = self.now + duration
        for _ in range(_MOST_POLLS):
            due = [(each.next_timeout(), at) for at, each in enumerate(self.replicas)]
            moments = [(when - self.clocks[at], at) for when, at in due if when is not None]
            if not moments or min(moments)[0] > stop:
                break
            moment, at = min(moments)
            self.now = max(self.now, moment)
            self._arrive(self.replicas[at].poll(self._clock(at), true=self.now))
        self.now = stop

    def move(self, place: int) -> None:
        """See Stage."""
        self._place = place

    def forget(self, replica: int) -> None:
        """See Stage."""
        self.replicas[replica % len(self.replicas)].drop_caches()

    def set_back(self, replica: int, step: int) -> None:
        """See Stage."""
        self.clocks[replica % len(self.clocks)] -= step

    def mood(self, replica: int, mood: Mood) -> None:
        """See Stage."""
        self.services[replica % len(self.services)].mood = mood

    def resolve(self, replica: int, count: int) -> None:
        """See Stage."""
        at = replica % len(self.replicas)
        self.services[at].resolve(count)
        self._arrive(self.replicas[at].poll(self._clock(at), true=self.now))

    def _clock(self, replica: int) -> int:
        return self.now + self.clocks[replica]

    def _arrive(self, bursts: Sequence[Burst]) -> None:
        for burst in bursts:
            for datagram in burst.datagrams():
                if burst.destination == self.source and not self._lost(datagram):
                    self.cheat.hear(datagram)

    def _lost(self, datagram: bytes) -> bool:
        """By number, and the first time only: so a list of actions that is cut meets the same losses."""
        if not self.plan.loss or datagram[0] != Kind.RESPONSE:
            return False
        number = int.from_bytes(datagram[12:16], "big")
        key = datagram[16:24], number
        times = self._arrivals[key] = self._arrivals.get(key, 0) + 1
        chance = int.from_bytes(sha256(f"{self.plan.seed} {number}".encode()).digest()[:4], "big") % 1_000
        lost = times == 1 and chance < self.plan.loss
        if lost:
            self.findings.lost.add((datagram[16:24], number))
        return lost
