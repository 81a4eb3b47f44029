"""Output that is made as it is asked for: each stretch has a continuation of its own, derived from the one before.

However many replicas answer, and even if each makes other bytes, a client's bytes are all of one making.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from tests.support.worlds import HOME, REQUEST, ROUGH, SPRAY, client, content, download, listener
from trickles.client import ClientConfig
from trickles.service import Continuation, Deferred, Event, Refusal, Reply
from trickles.testing import (
    MILLISECOND,
    SECOND,
    TEN_MEGABIT,
    Birth,
    LinkSpec,
    Report,
    Session,
    Simulation,
    for_seeds,
    kill_at_random,
    run_transfer,
)
from trickles.testing.endpoints import data_of, is_end

SIZE = 200_000
AHEAD = 60_000  # a stretch is offered before the one at hand is all asked for
_MAKING = struct.Struct(">B")

policies = pytest.mark.parametrize("config", [HOME, SPRAY], ids=["home", "spray"])
wires = pytest.mark.parametrize("wire", [TEN_MEGABIT, ROUGH], ids=["calm", "rough"])


def making(number: int) -> bytes:
    """The whole output as the makers of that number make it."""
    return content(SIZE, 100 + number)


@dataclass(slots=True)
class Maker:
    """Makes stretches of random length, at once or after a while; goes on only with what is of its own making."""

    birth: Birth
    number: int
    pause: int = 0
    pace: int = 0  # bytes at least in each stretch
    lengths: Callable[[int], int] = field(init=False)

    def __post_init__(self) -> None:
        self.lengths = lambda most: 1 + int.from_bytes(self.birth.entropy(4), "big") % most

    def handle(self, event: Event) -> Reply | Deferred:
        """Serve what is vouched for; make the next stretch if something behind that is wanted, or soon will be."""
        known, fresh = event.continuation, None
        if known is None:
            if not event.input.endswith(b"\n"):
                return Reply()
            known = fresh = Continuation(
                _MAKING.pack(self.number), 0, self.pace // 4 + self.lengths(10_000), len(event.input), more=True
            )
        elif known.state != _MAKING.pack(self.number):
            return Reply(refusal=Refusal.NOT_HERE)
        assert known.stop is not None
        asked = max((stop for _, stop in event.wants), default=0)
        if known.more and fresh is None and (asked > known.stop or self.offers(asked - known.stop)):
            fresh = self.following(known, known.stop)
        vouched = fresh if asked > known.stop and fresh is not None else known
        reply = self.reply(event, known, vouched, fresh)
        if not self.pause or asked <= known.stop:
            return reply
        deferred = Deferred()
        self.birth.after(self.pause, lambda: deferred.resolve(reply))
        return deferred

    def offers(self, ahead: int) -> bool:
        """Seldom: each offer takes room from the data that was asked for, and leaves scraps to be asked for again."""
        return ahead > -AHEAD and self.birth.entropy(1)[0] < 64

    def following(self, known: Continuation, start: int) -> Continuation:
        stop = min(start + self.pace + self.lengths(20_000), SIZE)
        return Continuation(known.state, start, stop, known.consumed, more=stop < SIZE)

    def reply(self, event: Event, known: Continuation, vouched: Continuation, fresh: Continuation | None) -> Reply:
        body, end, chunks = making(self.number), vouched.stop or 0, []
        for start, stop in event.wants:
            if start < min(stop, end):
                chunks.append((start, body[start : min(stop, end)]))
        last = fresh or known
        return Reply(tuple(chunks), fresh, None if last.more else SIZE)


@dataclass(slots=True)
class Tell:
    """Reads to the end; notes which making the bytes are of, and fails when they are of none."""

    received: bytearray = field(default_factory=bytearray)

    def start(self, session: Session) -> None:
        session.engine.write(REQUEST)

    def receive(self, session: Session, event: object) -> None:
        self.received += data_of(event) or b""
        if not any(making(number).startswith(self.received) for number in range(4)):
            session.fail(f"bytes of two makings below {len(self.received)}")
        elif is_end(event):
            if len(self.received) == SIZE:
                session.finish()
            else:
                session.fail(f"an end at {len(self.received)}")


def fetched(
    simulation: Simulation,
    number: Callable[[Birth], int],
    config: ClientConfig,
    wire: LinkSpec,
    *,
    pause: int = 0,
    pace: int = 0,
    kills: bool = False,
) -> Report:
    def arrange(simulation: Simulation, _: object) -> None:
        if kills:
            kill_at_random(simulation, simulation.replicas, every=90 * MILLISECOND, down=50 * MILLISECOND)

    return run_transfer(
        simulation,
        listener(lambda birth: Maker(birth, number(birth), pause, pace)),
        client(config),
        Tell(),
        replicas=3,
        up=wire,
        down=wire,
        arrange=arrange,
        max_time=120 * SECOND,
    )


@pytest.mark.slow
@policies
@wires
@pytest.mark.parametrize("pause", [0, 40 * MILLISECOND], ids=["quick", "slow"])
def test_equal_makers_go_on_with_each_other_whoever_dies(config: ClientConfig, wire: LinkSpec, pause: int) -> None:
    def scenario(simulation: Simulation) -> Report:
        return fetched(simulation, lambda _: 0, config, wire, pause=pause, kills=True)

    for report in for_seeds(scenario, range(3)):
        assert report.bytes_received == SIZE


@pytest.mark.slow
@policies
def test_stretches_are_offered_ahead_so_that_the_path_is_used(config: ClientConfig) -> None:
    def stretched(simulation: Simulation) -> Report:
        return fetched(simulation, lambda _: 0, config, TEN_MEGABIT, pace=80_000)

    def whole(simulation: Simulation) -> Report:
        return download(simulation, making(0), config=config, replicas=3)

    pairs = zip(for_seeds(stretched, range(2)), for_seeds(whole, range(2)), strict=True)
    assert [pair for pair in pairs if pair[0].duration > 1.6 * pair[1].duration] == []


@pytest.mark.slow
@policies
@wires
def test_makers_of_other_bytes_never_mix(config: ClientConfig, wire: LinkSpec) -> None:
    """Each replica makes its own bytes: only the one whose answer stands goes on, the others say so."""

    def scenario(simulation: Simulation) -> Report:
        return fetched(simulation, lambda birth: birth.index, config, wire)

    for report in for_seeds(scenario, range(4)):
        assert report.bytes_received == SIZE


@pytest.mark.slow
@policies
def test_the_death_of_the_only_maker_is_seen(config: ClientConfig) -> None:
    """Each process makes its own bytes; with all of them killed in turn the transfer fails, and never mixes."""

    def scenario(simulation: Simulation) -> Report:
        report = fetched(simulation, lambda birth: min(birth.index + birth.life, 3), config, ROUGH, kills=True)
        failed = report.failure is None or "no replica can continue" in report.failure or "no replica" in report.failure
        assert failed, report.failure
        return replace(report, failure=None, completed=True)

    for_seeds(scenario, range(4))
