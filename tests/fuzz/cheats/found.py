"""What the fuzz found in listeners of old, shrunk, and the seeds that found it: none of it may come back.

| fault | figure | seed | after |
|---|---|---|---|
| a lost number is fetched again with its nonce, and never shows | hidden | 0 | 236 steps, 0.1 s |
| one request walks an episode for each number that lies between two runs | work | 3 | 1,046 steps, 0.9 s |
| claims are forgotten from below, and then served for ever | earned twice | 6 | 1,942 steps, 1.7 s |
| pauses and restarts reset each other | restarted | 16 | 4,824 steps, 2.9 s |
"""

from tests.fuzz.cheats.actions import Action, Again, Feel, GoOn, Mood, Resolve, Restart, Speak, Wait
from tests.fuzz.cheats.peer import Place, Show, Span, Wants
from tests.fuzz.cheats.world import Plan
from trickles.limits import MILLISECOND, SECOND
from trickles.wire.kinds import RequestFlag

SEEDS = (0, 3, 6, 14, 16, 65, 139, 1_228, 1_369, 6_289)

_PROBE, _CLEAN = RequestFlag.PROBE, RequestFlag.CLEAN
_BOTH = _PROBE | _CLEAN
_ONE = Plan()
_LOSSY = Plan(20, loss=200)
_PAUSE: Action = Wait(50 * MILLISECOND)
_LONG: Action = Wait(40 * SECOND)
_CRUMBS: Action = Speak(span=Span.FEW, wants=Wants.CRUMBS)


def _in_turn(*held: int) -> tuple[Action, ...]:
    return tuple(Restart(held=each, show=Show.WHOLE, place=Place.ABOVE, flags=_CLEAN) for each in held)


def _pause_at(replica: int) -> tuple[Action, ...]:
    """A pause claimed where one packet was proved of what another replica sent."""
    return _PAUSE, Restart(show=Show.ONE, place=Place.ABOVE, flags=_CLEAN, replica=replica)


FOUND: dict[str, tuple[Plan, tuple[Action, ...]]] = {
    "an old continuation with runs far apart": (_ONE, (*[GoOn()] * 2, Restart(skip=17_743), Restart(held=1))),
    "an old continuation that is spoken for": (
        _ONE,
        (*[GoOn()] * 3, Restart(skip=1 << 19), Speak(held=-2), Speak(held=-2, show=Show.ENDS, span=Span.EVERYTHING)),
    ),
    "a claim repeated": (Plan(4, loss=200), (*[GoOn()] * 3, Speak(span=Span.REPEAT, flags=_BOTH))),
    "a restart repeated": (_ONE, (*[GoOn()] * 2, Again(flags=_PROBE))),
    "a restart repeated whose answer comes late": (
        _ONE,
        (GoOn(), Feel(Mood.DEFER), GoOn(), Feel(), Restart(flags=_BOTH), Again(back=1, flags=_PROBE), Resolve()),
    ),
    "a lost number fetched by a repeat": (
        _LOSSY,
        (
            GoOn(),
            Restart(show=Show.SOME),
            Restart(place=Place.ABOVE, skip=625_841),
            Wait(200 * MILLISECOND),
            Restart(place=Place.ABOVE, skip=625_841),
            Again(flags=_PROBE),
        ),
    ),
    "a lost number fetched where a range was claimed": (
        _LOSSY,
        (
            *[GoOn()] * 5,
            Wait(200 * MILLISECOND),
            Speak(show=Show.WHOLE, span=Span.HOLE, flags=_PROBE),
            Wait(200 * MILLISECOND),
            Restart(show=Show.BELOW, place=Place.HOLE, flags=_PROBE),
        ),
    ),
    "two continuations in turn": (_ONE, (*(GoOn(), _PAUSE) * 6, *_in_turn(-2), *(_PAUSE, *_in_turn(-2, -3)) * 6)),
    "a restart for each number": (
        _ONE,
        (GoOn(), *(Restart(show=Show.ONE, place=Place.ABOVE, flags=_BOTH), GoOn()) * 90),
    ),
    "a timeout that proves a number each 200 ms": (
        _ONE,
        (*[GoOn()] * 4, *_in_turn(0), *(Wait(200 * MILLISECOND), GoOn(), Restart(place=Place.ABOVE)) * 120),
    ),
    "pauses at two replicas in turn": (Plan(clocks=(0, 0)), (*[GoOn()] * 2, *(*_pause_at(0), *_pause_at(1)) * 100)),
    "restarts given back by one that is refused": (
        _ONE,
        (
            *[GoOn()] * 4,
            *(Feel(Mood.BUSY), *_in_turn(-2), Feel(), *_in_turn(-2)) * 8,
        ),
    ),
    "seventeen restarts far apart": (
        _ONE,
        (
            *[GoOn()] * 4,
            *(Restart(place=Place.ABOVE, skip=10_000), _PAUSE) * 40,
            *[Speak(held=-2, show=Show.WHOLE, span=Span.REPEAT)] * 3,
        ),
    ),
    "restarts while the service waits": (
        _ONE,
        (GoOn(), GoOn(), Feel(Mood.DEFER), *(GoOn(), Wait(200 * MILLISECOND)) * 70),
    ),
    "requests while the service waits": (
        _ONE,
        (*[GoOn()] * 9, Feel(Mood.DEFER), *[Speak(span=Span.FEW)] * 60, Wait(1)),
    ),
    "a datagram of a clock that is ahead": (
        Plan(clocks=(0, 3_600 * SECOND)),
        (
            *[GoOn(replica=1)] * 2,
            *[Speak(flags=_PROBE)] * 2,
            *(_LONG, _LONG, Again(fresh=False)) * 3,
        ),
    ),
    "a window of crumbs": (
        _ONE,
        (*[GoOn()] * 2, *(*[_CRUMBS] * 9, _PAUSE) * 9, *[Speak(span=Span.FEW)] * 20),
    ),
    "a large datagram that no ping proved": (_ONE, (GoOn(), Restart(size=65_507))),
}
