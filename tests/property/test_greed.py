"""A client that has proved all it ever will, and asks for more in every way that it can: what it gets is bounded."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, target
from hypothesis import strategies as st

from tests.fuzz.cheats.oracles import Debt
from tests.support.desk import ROUND_TRIP, Desk
from tests.support.peer import SOURCE, Run
from tests.support.toys import Tape
from trickles.limits import MILLISECOND, MOST_UNPROVED, MOST_WITHOUT_PROOF, SECOND
from trickles.service import Refusal
from trickles.wire.kinds import Address, Kind, RequestFlag
from trickles.wire.request import RequestBody

ELSEWHERE: Address = ("198.51.100.9", 40_000)
WINDOW = 10 * SECOND
FLAGS = st.sampled_from([0, RequestFlag.CLEAN, RequestFlag.PROBE, RequestFlag.CLEAN | RequestFlag.PROBE])


@dataclass
class Greedy:
    """A desk whose peer has proved something, remembers every continuation, and believes no answer from now on."""

    connected: bool = True
    desk: Desk = field(default_factory=lambda: Desk(Tape()))
    blobs: list[bytes] = field(default_factory=list)
    bases: list[int] = field(default_factory=lambda: [20])  # of restarts that were granted
    proofs: list[tuple[Run, ...]] = field(default_factory=list)  # none, a part, and all of what was received
    tried: int = 0  # the highest base asked for
    sent: list[tuple[int, int]] = field(default_factory=list)  # when, and how many packets

    def __post_init__(self) -> None:
        desk = self.desk
        desk.greet()
        self.blobs.append(desk.peer.blob)
        desk.now += ROUND_TRIP
        if self.connected:
            self._prove()
        self.tried = desk.peer_bound()
        runs = desk.peer.proof(9)
        self.proofs = [(), runs[-1:], runs, desk.peer.proof(0)]

    def _prove(self) -> None:
        """Receive something, hold nothing back, and show all of it."""
        desk = self.desk
        desk.ask(desk.peer.restart(desk.peer_bound()))
        self.blobs.append(desk.peer.blob)
        for lo, hi in ((9, 19), (19, 39), (39, 79)):
            desk.ask(desk.peer.speak(lo, hi))
        desk.ask(desk.peer.restart(desk.peer_bound(), flags=RequestFlag.CLEAN))
        desk.send(desk.peer.speak(desk.peer.top - 32, desk.peer.top))
        self.blobs.append(desk.peer.blob)
        self.bases.append(desk.peer_bound())
        desk.send(desk.peer.restart(self.bases[-1]))

    def take(self, datagram: bytes, source: Address = SOURCE) -> int:
        """Send, note what comes, and keep continuations of refusals, which are no packets."""
        packets = 0
        for answer in self.desk.send(datagram, source):
            packets += answer[0] == Kind.RESPONSE
            if answer[0] == Kind.REFUSAL and (refusal := self.desk.peer.open_refusal(answer)).transport is not None:
                assert refusal.code in (Refusal.ADDRESS, Refusal.EXPIRED)
                self.blobs.append(refusal.transport.blob)
        self.sent.append((self.desk.now, packets))
        return packets

    def most(self) -> int:
        """The most packets in any ten seconds."""
        most = total = first = 0
        for at, packets in self.sent:
            total += packets
            while self.sent[first][0] <= at - WINDOW:
                total -= self.sent[first][1]
                first += 1
            most = max(most, total)
        return most


def restart(greedy: Greedy, which: int, proof: int, flags: int, ahead: int, source: Address = SOURCE) -> None:
    """At the base of any restart that was granted, or beyond all."""
    base = greedy.bases[-1 - ahead % len(greedy.bases)] if ahead < 4 else greedy.tried + ahead
    greedy.tried = max(greedy.tried, base)
    runs = greedy.proofs[proof]
    at = runs[-1][1] if runs else 0
    body = RequestBody(RequestFlag.RESTART | flags, 1200, at, at, base, runs, ((0, 1 << 20),))
    if greedy.take(greedy.desk.peer.request(body, blob=greedy.blobs[which % len(greedy.blobs)]), source):
        greedy.bases.append(base)


def speak(greedy: Greedy, which: int, proof: int, flags: int, ahead: int) -> None:
    """For any part of what was received."""
    runs = greedy.proofs[proof]
    hi = runs[-1][1] if runs else 0
    body = RequestBody(flags, 1200, max(0, hi - 7 * ahead), hi, 0, runs, ((0, 1 << 20),))
    greedy.take(greedy.desk.peer.request(body, blob=greedy.blobs[which % len(greedy.blobs)]))


def move(greedy: Greedy, which: int, proof: int, flags: int, ahead: int) -> None:
    """Ask from elsewhere for a continuation that is bound to there."""
    body = greedy.desk.peer.spoken(0, 0, runs=(), flags=flags)
    source = ELSEWHERE if ahead & 1 else SOURCE
    greedy.take(greedy.desk.peer.request(body, blob=greedy.blobs[which % len(greedy.blobs)]), source)


def from_elsewhere(greedy: Greedy, which: int, proof: int, flags: int, ahead: int) -> None:
    """A restart from the other address, with one of the newest continuations."""
    restart(greedy, -1 - which % 2, proof, flags, ahead, ELSEWHERE)


Act = Callable[[Greedy, int, int, int, int], None]
ACTS: list[Act] = [restart, restart, speak, move, from_elsewhere]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(ACTS), st.integers(0, 5), st.integers(0, 3), FLAGS, st.integers(0, 40), st.integers(0, 60)
    ),
    max_size=120,
)


@pytest.mark.slow
@given(STEPS, st.integers(0, 400), st.booleans())
def test_without_new_proof_a_connection_gets_a_fixed_number_of_packets_in_ten_seconds(
    steps: list[tuple[Act, int, int, int, int, int]],
    scale: int,
    connected: bool,
) -> None:
    greedy = Greedy(connected)
    for act, which, proof, flags, ahead, pause in steps:
        greedy.desk.now += pause * scale * MILLISECOND // 60
        act(greedy, which, proof, flags, ahead)
    target(greedy.most())
    assert greedy.most() <= MOST_WITHOUT_PROOF


@pytest.mark.slow
@pytest.mark.parametrize("connected", [False, True])
def test_a_client_that_repeats_and_restarts_as_fast_as_it_may_stays_below_the_bound(connected: bool) -> None:
    greedy = Greedy(connected)
    for _ in range(7_000):
        greedy.desk.now += 2 * MILLISECOND
        restart(greedy, 2, 0, 0, 4)
        restart(greedy, 2, 1, RequestFlag.PROBE, 0)
        speak(greedy, 2, 1, RequestFlag.PROBE, 3)
    assert 20 <= greedy.most() <= MOST_WITHOUT_PROOF
    assert len(greedy.bases) > 8


def worst_of_restarts_every(interval: int, proved: int) -> int:
    """Packets beyond two for each number proved, in the worst 10 s of a client that times out so often.

    It begins with a kept window, proves so many numbers each time, has spoken for each before, and repeats all it can.
    """
    desk, debt, worst = Desk(Tape()), Debt(WINDOW), 0
    desk.connect()
    for lo, hi in ((9, 19), (19, 39), (39, 79)):
        desk.ask(desk.peer.speak(lo, hi))

    def ask(datagram: bytes, paid: int = 0) -> list[bytes]:
        nonlocal worst
        answers = desk.send(datagram)
        worst = max(worst, debt.add(desk.now, 2 * paid, len(answers)))
        return answers

    window = ask(desk.peer.restart(desk.peer_bound(), flags=RequestFlag.CLEAN))
    for _ in range(15 * SECOND // interval):
        desk.now += interval
        received = desk.peer.read(window[:proved])
        body = desk.peer.spoken(desk.peer.base, desk.peer.top)
        ask(desk.peer.request(body), len(received))
        ask(desk.peer.request(body._replace(flags=RequestFlag.PROBE)))
        window = ask(desk.peer.restart(desk.peer_bound()))
    return worst


@pytest.mark.parametrize("proved", [1, 2, 3])
@pytest.mark.parametrize("interval", [7, 50, 199, 200, 220])
def test_timeouts_that_prove_a_little_each_are_paced(interval: int, proved: int) -> None:
    assert 32 <= worst_of_restarts_every(interval * MILLISECOND, proved) <= MOST_UNPROVED
