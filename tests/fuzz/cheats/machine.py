"""The same cheats as a state machine of Hypothesis; what it finds is shrunk as a list of actions, which is faster."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.fuzz.cheats.actions import (
    SMALL,
    Action,
    Again,
    Feel,
    Forget,
    GoOn,
    Greet,
    Mood,
    Move,
    Ping,
    Resolve,
    Restart,
    SetBack,
    Speak,
    Wait,
)
from tests.fuzz.cheats.peer import Place, Show, Span, Wants
from tests.fuzz.cheats.pieces import Commit, Pieces
from tests.fuzz.cheats.search import listed, run, shrink
from tests.fuzz.cheats.swarm import CLOCKS, FLAGS, LOSSES, PAUSES, ROUND_TRIP
from tests.fuzz.cheats.world import Plan, World
from trickles.limits import SECOND

MOST_PACKETS = 2_000  # of one example
REPLICAS = st.integers(0, 2)
BACK = st.integers(-8, 20)
FEW = st.integers(0, 15)
USERS = st.sampled_from((0, 1, 99))
SKIPS = st.one_of(st.just(0), st.integers(0, 20).map(lambda power: 1 << power))
SPEAK = st.builds(
    Speak,
    held=BACK,
    show=st.sampled_from(Show),
    span=st.sampled_from(Span),
    flags=st.sampled_from(FLAGS),
    wants=st.sampled_from(Wants),
    user=USERS,
    replica=REPLICAS,
    pick=FEW,
)
RESTART = st.builds(
    Restart,
    held=BACK,
    show=st.sampled_from(Show),
    place=st.sampled_from(Place),
    skip=SKIPS,
    flags=st.sampled_from(FLAGS),
    size=st.sampled_from((SMALL, SMALL, 1_452, 65_507, 0)),
    wants=st.sampled_from(Wants),
    user=USERS,
    replica=REPLICAS,
    pick=FEW,
)
AGAIN = st.builds(Again, back=BACK, fresh=st.booleans(), flags=st.sampled_from(FLAGS), replica=REPLICAS)
SELDOM = st.one_of(
    st.builds(
        Pieces,
        at=st.sampled_from((0, 1, 1_000, 65_000, 1 << 20)),
        count=st.sampled_from((1, 5, 30)),
        size=st.sampled_from((1, 300, 1_000)),
        apart=st.sampled_from((1, 300, 1_000, 70_000)),
        replica=REPLICAS,
    ),
    st.builds(Commit, first=FEW, within=FEW, replica=REPLICAS),
    st.builds(Greet, replica=REPLICAS),
    st.builds(Ping, size=st.sampled_from((SMALL, 1_452, 9_000)), held=BACK, replica=REPLICAS),
    st.builds(Move, place=REPLICAS),
    st.builds(Forget, replica=REPLICAS),
    st.builds(SetBack, step=st.sampled_from((SECOND, 20 * SECOND, 3600 * SECOND)), replica=REPLICAS),
    st.builds(Feel, mood=st.sampled_from(Mood), replica=REPLICAS),
    st.builds(Resolve, count=st.integers(1, 20), replica=REPLICAS),
)


class Cheating(RuleBasedStateMachine):
    """One connection of a client that cheats, against one to three replicas."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(Plan())
        self.past: list[Action] = []

    @initialize(
        seed=st.integers(0, 99),
        clocks=st.lists(st.sampled_from(CLOCKS), min_size=1, max_size=3),
        loss=st.sampled_from(LOSSES),
        honest=st.integers(0, 6),
    )
    def begin(self, seed: int, clocks: list[int], loss: int, honest: int) -> None:
        """A fleet, and an honest beginning."""
        self.world = World(Plan(seed, tuple(clocks), loss, spool=True))
        for _ in range(honest):
            self.do(GoOn())
            self.do(Wait(ROUND_TRIP))

    def do(self, action: Action) -> None:
        """Act, and remember it."""
        if self.world.findings.packets < MOST_PACKETS:
            self.past.append(action)
            self.world.step(action)

    @rule(replica=REPLICAS)
    def go_on(self, replica: int) -> None:
        """As an honest client would."""
        self.do(GoOn(replica))

    @rule(duration=st.one_of(st.sampled_from(PAUSES), st.integers(0, 40 * SECOND)))
    def wait(self, duration: int) -> None:
        """Time passes."""
        self.do(Wait(duration))

    @rule(action=SPEAK)
    def speak(self, action: Action) -> None:
        """Speak for anything."""
        self.do(action)

    @rule(action=RESTART)
    def restart(self, action: Action) -> None:
        """Restart anywhere."""
        self.do(action)

    @rule(action=AGAIN)
    def again(self, action: Action) -> None:
        """Say something once more."""
        self.do(action)

    @rule(action=SELDOM)
    def befall(self, action: Action) -> None:
        """Something else."""
        self.do(action)

    @rule(length=st.integers(1, 5), times=st.integers(1, 20), pause=st.sampled_from(PAUSES))
    def over_and_over(self, length: int, times: int, pause: int) -> None:
        """The last few once more, many times."""
        for action in [*self.past[-length:], Wait(pause)] * times:
            self.do(action)
            if self.world.findings.broken():
                return

    @invariant()
    def the_bounds_hold(self) -> None:
        """All of them."""
        broken = self.world.findings.broken()
        if broken:
            outcome = run(self.past, self.world.plan)
            raise AssertionError(f"{', '.join(broken)} broke:\n{listed(shrink(outcome, broken[0]))}")
