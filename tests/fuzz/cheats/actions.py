"""What a cheating client may do next, as plain values: each can be done at any time, if only to no effect.

Numbers that choose (`held`, `back`) count from the newest of what the client holds then, 0, 1, 2..., or from the
oldest, -1, -2...; times are microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from tests.fuzz.cheats.peer import Cheat, Place, Show, Span, Wants, chosen
from trickles.wire.kinds import RequestFlag
from trickles.wire.request import MIN_REQUEST_BYTES, RequestBody

SMALL = 1_200


class Mood(IntEnum):
    """How the service of a replica answers."""

    STREAM = 0  # all that is asked for
    SHORT = 1  # some bytes of it
    BUSY = 2
    NOT_HERE = 3
    DEFER = 4
    FAIL = 5


class Stage(Protocol):
    """What actions act on: the client, the fleet and the time; see `world` and `neighbour`."""

    cheat: Cheat

    def send(self, replica: int, datagram: bytes) -> None:
        """Send one datagram to one replica."""

    def greet(self, replica: int, wanted: int) -> None:
        """Send a hello of the one connection."""

    def wait(self, duration: int) -> None:
        """Let time pass."""

    def move(self, place: int) -> None:
        """Go to another address."""

    def forget(self, replica: int) -> None:
        """Drop the soft state of a replica."""

    def set_back(self, replica: int, step: int) -> None:
        """Set the clock of a replica back."""

    def mood(self, replica: int, mood: Mood) -> None:
        """Set how a replica's service answers."""

    def resolve(self, replica: int, count: int) -> None:
        """Answer what a replica's service deferred, the oldest first."""


class Action(Protocol):
    """A value with an effect."""

    def do(self, stage: Stage) -> None:
        """Act."""


@dataclass(frozen=True, slots=True)
class Greet:
    """A hello, the first or one more with the same secret."""

    replica: int = 0
    wanted: int = 3_600

    def do(self, stage: Stage) -> None:
        """Send it."""
        stage.greet(self.replica, self.wanted)


@dataclass(frozen=True, slots=True)
class GoOn:
    """What an honest client would say now: it speaks for what arrived, or restarts when it can only do that."""

    replica: int = 0

    def do(self, stage: Stage) -> None:
        """Send it."""
        cheat = stage.cheat
        held = cheat.continuation(0)
        if held is None:
            stage.greet(self.replica, SMALL)
            return
        lo, hi = cheat.span(held, cheat.proof(held, Show.ALL, 0), Span.ONWARD, 0)
        if held.frame.embryo or lo == hi:
            Restart(place=Place.ABOVE, replica=self.replica).do(stage)
        else:
            Speak(span=Span.ONWARD, replica=self.replica).do(stage)


@dataclass(frozen=True, slots=True)
class Speak:
    """A request that speaks for numbers."""

    held: int = 0
    show: Show = Show.ALL
    span: Span = Span.NEXT
    flags: int = 0
    wants: Wants = Wants.MUCH
    user: int = 0
    replica: int = 0
    pick: int = 0

    def do(self, stage: Stage) -> None:
        """Send it."""
        cheat = stage.cheat
        held = cheat.continuation(self.held)
        if held is None:
            return
        runs = cheat.proof(held, self.show, self.pick)
        lo, hi = cheat.span(held, runs, self.span, self.pick)
        wants = cheat.wanted(self.wants, self.pick)
        body = RequestBody(self.flags, SMALL, lo, hi, 0, runs, wants, cheat.user(self.user))
        stage.send(self.replica, cheat.say(held, body))


@dataclass(frozen=True, slots=True)
class Restart:
    """A request for a new episode, `skip` numbers from where `place` says, with a proof of its size if one is held."""

    held: int = 0
    show: Show = Show.ALL
    place: Place = Place.BOUND
    skip: int = 0
    flags: int = 0
    size: int = SMALL
    wants: Wants = Wants.MUCH
    user: int = 0
    replica: int = 0
    pick: int = 0

    def do(self, stage: Stage) -> None:
        """Send it."""
        cheat = stage.cheat
        held = cheat.continuation(self.held)
        if held is None:
            return
        runs = cheat.proof(held, self.show, self.pick)
        high, low = divmod(cheat.size_proof(self.size, self.pick), 1 << 32)
        base = cheat.base(held, runs, self.place, self.skip, self.pick)
        flags, wants = self.flags | RequestFlag.RESTART, cheat.wanted(self.wants, self.pick)
        body = RequestBody(flags, self.size, high, low, base, runs, wants, cheat.user(self.user))
        stage.send(self.replica, cheat.say(held, body))


@dataclass(frozen=True, slots=True)
class Again:
    """An earlier request once more: the same datagram, or (`fresh`) the same words under a number of their own."""

    back: int = 0
    fresh: bool = True
    flags: int = 0  # added
    replica: int = 0

    def do(self, stage: Stage) -> None:
        """Send it."""
        cheat = stage.cheat
        if not cheat.sent:
            return
        body, held, datagram = chosen(cheat.sent, self.back)
        if self.fresh:
            datagram = cheat.say(held, body._replace(flags=body.flags | self.flags))
        stage.send(self.replica, datagram)


@dataclass(frozen=True, slots=True)
class Ping:
    """A probe for larger datagrams (RFC 8899)."""

    size: int = SMALL
    held: int = 0
    replica: int = 0

    def do(self, stage: Stage) -> None:
        """Send it."""
        held = stage.cheat.continuation(self.held)
        if held is not None:
            size = max(self.size, MIN_REQUEST_BYTES)
            stage.send(self.replica, stage.cheat.voice.ping(size, blob=held.frame.blob))


@dataclass(frozen=True, slots=True)
class Wait:
    """Time passes."""

    duration: int

    def do(self, stage: Stage) -> None:
        """Wait."""
        stage.wait(self.duration)


@dataclass(frozen=True, slots=True)
class Move:
    """The client goes on from another host address."""

    place: int

    def do(self, stage: Stage) -> None:
        """Go there."""
        stage.move(self.place)


@dataclass(frozen=True, slots=True)
class Forget:
    """A replica loses its soft state, as by a restart of its process."""

    replica: int = 0

    def do(self, stage: Stage) -> None:
        """Drop it."""
        stage.forget(self.replica)


@dataclass(frozen=True, slots=True)
class SetBack:
    """A replica's clock is set back."""

    step: int
    replica: int = 0

    def do(self, stage: Stage) -> None:
        """Set it."""
        stage.set_back(self.replica, self.step)


@dataclass(frozen=True, slots=True)
class Feel:
    """A replica's service answers in another way from now on."""

    mood: Mood = Mood.STREAM
    replica: int = 0

    def do(self, stage: Stage) -> None:
        """Set it."""
        stage.mood(self.replica, self.mood)


@dataclass(frozen=True, slots=True)
class Resolve:
    """A replica's service answers what it deferred."""

    count: int = 1
    replica: int = 0

    def do(self, stage: Stage) -> None:
        """Answer."""
        stage.resolve(self.replica, self.count)
