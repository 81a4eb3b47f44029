"""A cheat beside an honest flow on a bottleneck, in the simulator: what share does it take?

Here time passes by itself, so a client has habits instead of a list of actions: one that every few packets that arrive
set off, as an acknowledgement clock does, and some that come back after a fixed time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from tests.fuzz.cheats.actions import SMALL, Action, Again, GoOn, Greet, Mood, Restart, Speak
from tests.fuzz.cheats.peer import Cheat, Place, Show, Span, Wants
from tests.fuzz.cheats.swarm import Swarm
from tests.fuzz.cheats.world import KEYS
from tests.support.toys import Tape
from trickles.client import Client, ClientConfig
from trickles.listener import Listener
from trickles.testing import MILLISECOND, SECOND, TEN_MEGABIT, Fetch, LinkSpec, Simulation
from trickles.testing.endpoints import Session
from trickles.wire.kinds import Address, RequestFlag

BOTTLENECK = replace(TEN_MEGABIT, delay=25 * MILLISECOND, queue_packets=50)
WARM_UP = 3 * SECOND
FIRST = 200 * MILLISECOND  # for the handshake, before timers begin


@dataclass(frozen=True, slots=True)
class Habit:
    """Actions done after so many packets, or every so many microseconds; `silent`: since the last packet."""

    actions: tuple[Action, ...]
    packets: int = 0
    every: int = 0
    silent: bool = False
    since: int = 0
    until: int = 1 << 62  # microseconds from the beginning


NEVER = 1 << 62
REFETCH = (
    Restart(show=Show.BELOW, place=Place.HOLE, flags=RequestFlag.PROBE),
    Speak(show=Show.WHOLE, span=Span.HOLE, flags=RequestFlag.PROBE),
    Again(flags=RequestFlag.PROBE),
)
SAVING = Habit((GoOn(),), every=400 * MILLISECOND, silent=True)
HONEST = (Habit((GoOn(),), packets=2), SAVING)
MOST_SHARE = 1.25


def _since(start: int, *actions: Action, every: int = 0, packets: int = 0) -> Habit:
    return Habit(actions, packets=packets, every=every, since=start)


def _hoard(held: int) -> Restart:
    return Restart(held=held, show=Show.WHOLE, place=Place.ABOVE, flags=RequestFlag.CLEAN)


_LOUD = Restart(show=Show.WHOLE, place=Place.ABOVE)
_GROW = Habit((GoOn(),), packets=2, until=500 * MILLISECOND)
_HIDE = _since(2 * SECOND, Speak(show=Show.WHOLE, span=Span.ONWARD), packets=2)
CHEATS = {
    "a client that is fair": HONEST,
    "two continuations shown in turn": (_GROW, _since(500 * MILLISECOND, _hoard(-2), _hoard(-3), every=22_000)),
    "a hoard beside its clock": (HONEST[0], SAVING, _since(SECOND, _hoard(-2), _hoard(-3), every=44_000)),
    "losses hidden by claims": (
        replace(HONEST[0], until=2 * SECOND),
        _HIDE,
        SAVING,
        _since(0, REFETCH[1], every=5_000),
    ),
    "losses hidden by restarts": (
        replace(HONEST[0], until=2 * SECOND),
        _HIDE,
        SAVING,
        _since(0, REFETCH[0], every=5_000),
    ),
    "a restart for each packet": (
        replace(_GROW, until=400 * MILLISECOND),
        _since(400 * MILLISECOND, *[replace(_LOUD, held=held) for held in range(3)], packets=1),
        SAVING,
    ),
    "repeats": (HONEST[0], SAVING, _since(0, REFETCH[2], every=5_000)),
}


class Habitual:
    """A client engine for the simulator that does what its habits are; also a stage for their actions."""

    def __init__(self, habits: Sequence[Habit], replicas: Sequence[Address], lose: Callable[[], bool] | None = None):
        self.cheat = Cheat()
        self._habits = habits
        self._replicas = replicas
        self._due = [FIRST + habit.every for habit in habits]
        self._arrived = [0 for _ in habits]
        self._outbox: list[tuple[bytes, Address]] = []
        self._now = 0

    # as the simulator's engine

    def connect(self, *, now: int) -> None:
        """See ClientLike."""
        self._now = now
        Greet().do(self)

    def receive_datagram(self, datagram: bytes, source: Address, *, now: int) -> None:
        """See ClientLike."""
        self._now = now
        embryo = not self.cheat.held
        self.cheat.hear(datagram)
        if embryo and self.cheat.held:
            GoOn().do(self)
        else:
            self._count()

    def receive_unreachable(self, replica: Address, *, now: int) -> None:
        """See ClientLike."""

    def handle_timeout(self, *, now: int) -> None:
        """See ClientLike."""
        self._now = now
        for at, habit in enumerate(self._habits):
            if habit.every and self._due[at] <= now:
                self._due[at] = now + habit.every
                self._do(habit)

    def datagrams_to_send(self, *, now: int) -> Sequence[tuple[bytes, Address]]:
        """See ClientLike."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def next_timeout(self) -> int | None:
        """See ClientLike."""
        return min((due for due, habit in zip(self._due, self._habits, strict=True) if habit.every), default=None)

    def next_event(self) -> object | None:
        """See ClientLike."""
        return None

    def write(self, data: bytes) -> None:
        """See ClientLike."""

    def write_eof(self) -> None:
        """See ClientLike."""

    # as a stage

    def send(self, replica: int, datagram: bytes) -> None:
        """See Stage."""
        self._outbox.append((datagram, self._replicas[replica % len(self._replicas)]))

    def greet(self, replica: int, wanted: int) -> None:
        """See Stage."""
        self.send(replica, self.cheat.voice.hello(KEYS.newest(0), b"GET\n", wanted=wanted, size=SMALL))

    def wait(self, duration: int) -> None:
        """See Stage: here time passes by itself."""

    def move(self, place: int) -> None:
        """See Stage: a client that shares a bottleneck stays there."""

    def forget(self, replica: int) -> None:
        """See Stage: the fleet is well."""

    def set_back(self, replica: int, step: int) -> None:
        """See Stage: the fleet is well."""

    def mood(self, replica: int, mood: Mood) -> None:
        """See Stage: the fleet is well."""

    def resolve(self, replica: int, count: int) -> None:
        """See Stage: the fleet is well."""

    def _count(self) -> None:
        for at, habit in enumerate(self._habits):
            if habit.silent:
                self._due[at] = self._now + habit.every
            elif not habit.every:
                self._arrived[at] += 1
                if self._arrived[at] >= habit.packets:
                    self._arrived[at] = 0
                    self._do(habit)

    def _do(self, habit: Habit) -> None:
        if habit.since <= self._now < habit.until:
            for action in habit.actions:
                action.do(self)


class Idle:
    """An application that wants nothing: a habitual client does all by itself."""

    def start(self, session: Session) -> None:
        """See Application."""

    def receive(self, session: Session, event: object) -> None:
        """See Application."""


def share(
    habits: Sequence[Habit], seed: int, *, seconds: float = 6, path: LinkSpec = BOTTLENECK, replicas: int = 1
) -> float:
    """Bytes that reach the cheat over its fair half, beside one honest download, once both have found their pace."""
    simulation = Simulation(seed)
    down = simulation.add_link("down", path)
    up = simulation.add_link("up", replace(path, jitter=MILLISECOND))  # or flows fall into step
    fleet = [
        simulation.add_replica(lambda birth: Listener(KEYS, Tape(), entropy=birth.entropy)) for _ in range(replicas)
    ]
    addresses = [each.address for each in fleet]
    config = ClientConfig(datagram_bytes=SMALL, probe_sizes=())
    honest = Client(addresses, entropy=simulation.entropy("honest"), config=config)
    begins = simulation.random("starts").randrange(200 * MILLISECOND)
    hosts = [
        simulation.add_client(Habitual(habits, addresses), Idle(), outgoing=[up], incoming=[down]),
        simulation.add_client(honest, Fetch(b"GET\n"), outgoing=[up], incoming=[down], start=begins),
    ]
    simulation.run(until=lambda: False, max_time=WARM_UP)
    before = [host.stats.received_bytes for host in hosts]
    simulation.run(until=lambda: False, max_time=WARM_UP + int(seconds * SECOND))
    cheat, other = (host.stats.received_bytes - had for host, had in zip(hosts, before, strict=True))
    return 2 * cheat / (cheat + other)


def habits(seed: int) -> list[Habit]:
    """An acknowledgement clock, for a while or for good, and whatever else a client may do every few milliseconds."""
    rng, swarm = Random(f"habits {seed}"), Swarm(seed)
    hides = rng.random() < 0.3
    until = rng.choice((300 * MILLISECOND, 500 * MILLISECOND, SECOND, NEVER))
    clock: Action = Speak(show=Show.WHOLE, span=Span.ONWARD) if hides else GoOn()
    drawn = [Habit((clock,), packets=rng.choice((2, 4, 10)), until=until), SAVING]
    if hides:
        drawn.append(Habit((rng.choice(REFETCH),), every=rng.choice((5, 10, 60)) * MILLISECOND))
    for _ in range(rng.randrange(1, 3)):
        kinds = rng.choice(((swarm.restart,), (swarm.speak, swarm.restart, swarm.again)))
        actions = [rng.choice(kinds)() for _ in range(rng.randrange(1, 4))]
        if rng.random() < 0.5:
            actions = [_apart(each, rng) if isinstance(each, Restart) else each for each in actions]
        drawn.append(Habit(tuple(actions), *_pace(rng), since=0 if until == NEVER else until))
    return drawn


def _pace(rng: Random) -> tuple[int, int]:
    """After how many packets, or every how many microseconds."""
    if rng.random() < 0.5:
        return rng.choice((1, 1, 2, 4)), 0
    return 0, rng.choice((5, 10, 20, 30, 50, 60, 200)) * MILLISECOND


def _apart(restart: Restart, rng: Random) -> Restart:
    """The same from one of the first continuations, at a place where nothing was yet."""
    held = rng.choice((-1 - rng.randrange(6), rng.randrange(4)))
    return replace(restart, held=held, show=Show.WHOLE, place=Place.ABOVE, size=SMALL, wants=Wants.MUCH)
