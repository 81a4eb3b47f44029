"""A fleet that holds its client's keys and says whatever it likes, with one client in virtual time.

Each datagram is followed by what a driver would do, and the work for both is counted.
"""

from collections.abc import Callable
from random import Random

from tests.support.authentic import REPLICAS, AuthenticFleet, Frame
from tests.support.counting import lines
from trickles.client import Data, Failed, Policy
from trickles.limits import MILLISECOND, Limits
from trickles.service import Refusal
from trickles.wire.kinds import Address, ResponseFlag, Suite
from trickles.wire.response import TransportFrame, UserFrame


class HostileFleet(AuthenticFleet):
    """An established client and its enemy."""

    def __init__(self, suite: Suite = Suite.SEALED, policy: Policy = Policy.HOME, limits: Limits | None = None) -> None:
        self.reads = True  # the application takes what arrives
        self.failed = ""
        self.sent: list[tuple[bytes, Address]] = []  # by the client, all of it
        self.work: list[int] = []  # lines of the package run for each datagram
        self.answers: list[int] = []  # datagrams sent after each
        super().__init__(suite, policy, limits)
        self.work.clear()

    def hear(self, datagram: bytes, source: Address = REPLICAS[0]) -> None:
        """Deliver one datagram, do what a driver does then, and count the work for both."""

        def step() -> None:
            super(HostileFleet, self).hear(datagram, source)
            self.answers.append(len(self.turn()))

        self.work.append(lines(step))

    def turn(self) -> list[tuple[bytes, Address]]:
        """What a driver does after each datagram: events, sending, the next deadline; returns what was sent."""
        client = self.client
        while self.reads and (event := client.next_event()) is not None:
            if isinstance(event, Failed):
                self.failed = event.reason
            assert not isinstance(event, Data) or event.chunks
        sent = client.datagrams_to_send(now=self.now)
        self.sent += sent
        due = client.next_timeout()
        assert due is None or due > self.now, f"spins: due at {due}, now {self.now}"
        return sent

    def wait(self, duration: int) -> None:
        """Let time pass, with the client's timers."""
        until = self.now + duration
        while (due := self.client.next_timeout()) is not None and due <= until:
            self.now = max(due, self.now)
            self.client.handle_timeout(now=self.now)
            self.turn()
        self.now = until

    def establish(self, start: int = 10) -> int:
        """Answer the restart with its first packet and a window of `start`; returns the episode's base."""
        self.turn()
        claim = self.state.flight.restarting
        assert claim is not None
        self.now += 10 * MILLISECOND
        self.say(claim.newest, claim.start, b"x", [self.transport(claim.start, start)], offset=2)
        return claim.start


Move = Callable[[HostileFleet, Random], None]


def somewhere(fleet: HostileFleet, rng: Random) -> int:
    """A packet number of some interest."""
    state = fleet.state
    cursor, top = state.flight.board.cursor, max(state.flight.next_number, 1)
    near = [cursor, cursor + 1, cursor + 2, top - 1, top, state.flight.board.episode.base, max(cursor - 1, 0)]
    far = [rng.randrange(top), min(cursor + rng.randrange(200), top), top + rng.randrange(1 << 20), (1 << 32) - 1]
    return max(rng.choice(near + far), 0)


def some_request(fleet: HostileFleet, rng: Random) -> tuple[int, Address]:
    """A request under way and where it went, or any."""
    claims = list(fleet.state.requests)
    if claims and rng.random() < 0.9:
        claim = rng.choice(claims)
        number = rng.choice(list(claim.datagrams))
        return number, claim.datagrams[number].replica
    return rng.choice([0, 1, rng.randrange(1 << 16), (1 << 32) - 1]), rng.choice(REPLICAS)


def some_offset(fleet: HostileFleet, rng: Random) -> int:
    """An output offset of some interest."""
    state = fleet.state
    here, limit = state.output.arrived.next_offset, state.output.limit
    return max(rng.choice([here, here + 1, here + 2 * rng.randrange(5_000), limit - 1, limit, here - 1, 1 << 62]), 0)


def some_transport(fleet: HostileFleet, rng: Random) -> TransportFrame:
    """A transport frame that may be absurd."""
    state = fleet.state
    restart = state.flight.restarting.start if state.flight.restarting is not None else state.flight.board.cursor
    base = rng.choice(
        [restart, restart, restart, state.flight.board.episode.base, somewhere(fleet, rng), state.flight.next_number]
    )
    start = rng.choice([0, 1, 2, 10, 10, 1000, 1 << 16, (1 << 16) + 1, (1 << 32) - 1])
    return fleet.transport(base, start, rng.choice([0, 1, 64, 1 << 16, (1 << 32) - 1]), embryo=rng.random() < 0.1)


def some_user(fleet: HostileFleet, rng: Random) -> UserFrame:
    """A user frame that may be absurd."""
    state = fleet.state
    start = some_offset(fleet, rng)
    stop = rng.choice([None, start, start + 1, start + 1000, 0, (1 << 63) - 1])
    consumed = rng.choice([0, 4, state.input.written, state.input.written + 1, (1 << 64) - 1])
    return UserFrame(start, stop, consumed, bytes(rng.choice([0, 64, 764, 765, 900])), rng.random() < 0.3)


def respond(fleet: HostileFleet, rng: Random) -> None:
    """Any response."""
    request, source = some_request(fleet, rng)
    frames: list[Frame] = []
    if rng.random() < 0.4:
        frames.append(some_transport(fleet, rng))
    if rng.random() < 0.3:
        frames.append(some_user(fleet, rng))
    flags = rng.choice([0, 0, 0, ResponseFlag.SHORT, ResponseFlag.END if rng.random() < 0.02 else 0])
    data = bytes(rng.choice([0, 1, 1, 100, 1100]))
    fleet.say(request, somewhere(fleet, rng), data, frames, offset=some_offset(fleet, rng), flags=flags, source=source)


def refuse(fleet: HostileFleet, rng: Random) -> None:
    """Any refusal, but few that end the connection."""
    request, source = some_request(fleet, rng)
    code = rng.choice([each for each in Refusal if each not in (Refusal.GONE, Refusal.FULL) or rng.random() < 0.02])
    frame = some_transport(fleet, rng) if rng.random() < 0.5 else None
    fleet.hear(fleet.refusal(code, request, frame, worked_us=rng.randrange(1 << 20)), source)


def receipt(fleet: HostileFleet, rng: Random) -> None:
    """A receipt for a piece under way, or for none."""
    pieces = list(fleet.state.upload._pieces.values())
    if pieces:
        piece = rng.choice(pieces)
        stop = rng.choice([piece.stop, piece.stop, piece.stop, piece.offset, 1 << 63])
        fleet.hear(fleet.receipt(piece.number, piece.offset, stop), piece.replica)
    else:
        fleet.hear(fleet.receipt(rng.randrange(1 << 16), rng.randrange(1 << 16), 1 << 40))


def pong(fleet: HostileFleet, rng: Random) -> None:
    """A pong for a ping under way, or for none, of a right or wrong size."""
    pings = fleet.state.path.pings
    request = rng.choice([*pings, 7])
    fleet.hear(fleet.pong(request, rng.choice([pings.get(request, 300), 1500, 60_000])), rng.choice(REPLICAS))


def pass_time(fleet: HostileFleet, rng: Random) -> None:
    """A moment, or some seconds."""
    fleet.wait(rng.choice([100, 1_000, 10_000, 100_000, 3_000_000]))


def use(fleet: HostileFleet, rng: Random) -> None:
    """The application writes, stops or goes on reading; the network complains."""
    fleet.reads = rng.random() < 0.7
    if rng.random() < 0.3:
        fleet.client.write(bytes(rng.choice([1, 100, 5_000])))
    if rng.random() < 0.2:
        fleet.client.receive_unreachable(rng.choice(REPLICAS), now=fleet.now)


def obey(fleet: HostileFleet, rng: Random) -> None:
    """Answer what is under way as an honest fleet would, more or less, or under the number of no request."""
    honest = rng.random() < 0.7
    for claim in list(fleet.state.requests)[: rng.choice([1, 5])]:
        offset = claim.wants[0][0] if claim.wants else fleet.state.output.arrived.next_offset
        for number in range(claim.start, claim.stop):
            frames = [fleet.transport(claim.start, claim.stop - claim.start)] if claim.flags & 1 else []
            size = rng.choice([1, 1000])
            fleet.say(claim.newest if honest else 50_000, number, bytes(size), frames, offset=offset)
            offset += size


def restart(fleet: HostileFleet, rng: Random) -> None:
    """Answer a restart with a huge window."""
    claim = fleet.state.flight.restarting
    if claim is not None:
        frame = fleet.transport(claim.start, rng.choice([1, 1 << 12, 1 << 16]), rng.choice([1, 1 << 16]))
        fleet.say(claim.newest, claim.start, b"x", [frame], offset=some_offset(fleet, rng))


def scatter(fleet: HostileFleet, rng: Random) -> None:
    """Many numbers above a hole: every second one, or any, upwards or downwards."""
    state = fleet.state
    low, high = state.flight.board.cursor + 1, max(state.flight.next_number, state.flight.board.cursor + 2)
    numbers = [*range(low, high, rng.choice([2, 2, 3]))][-60:] if rng.random() < 0.5 else [*range(low, low + 120, 2)]
    for number in sorted(numbers, reverse=rng.random() < 0.5):
        fleet.say(50_000, number)


def fill(fleet: HostileFleet, rng: Random) -> None:
    """The number that is missing."""
    fleet.say(50_000, fleet.state.flight.board.cursor)


def crumbs(fleet: HostileFleet, rng: Random) -> None:
    """Output in single bytes, in order or every second one."""
    state = fleet.state
    at, step = state.output.arrived.next_offset + rng.choice([0, 1, 1000]), rng.choice([1, 2])
    for index in range(100):
        fleet.say(50_000, state.flight.board.cursor, b"c", offset=at + step * index)


def stretches(fleet: HostileFleet, rng: Random) -> None:
    """Continuations without end."""
    newest = fleet.state.output.requested.newest
    at, consumed = (newest.start, newest.consumed) if newest is not None else (0, 4)
    for index in range(50):
        stop = at + index + rng.choice([1, 2])
        fleet.say(50_000, 0, b"", [UserFrame(at + index + 1, stop, consumed, bytes(64), rng.random() < 0.5)])


MOVES: tuple[Move, ...] = (
    *(respond, refuse, receipt, pong, pass_time, use),
    *(obey, restart, scatter, fill, crumbs, stretches),
)
