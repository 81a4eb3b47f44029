"""A replica whose clock is set back makes no client wait for longer than it would have, and reopens nothing."""

from hashlib import sha256

import pytest

from tests.support.desk import ROUND_TRIP, Desk
from tests.support.toys import Patient, Tape
from trickles.limits import DEFAULT_LIMITS, MILLISECOND, SECOND
from trickles.listener.claims import Claims
from trickles.replay import ReplayFilter
from trickles.wire.kinds import Kind, RequestFlag

CLEAN, PROBE = RequestFlag.CLEAN, RequestFlag.PROBE
STEPS = [SECOND, 60 * SECOND, 3600 * SECOND]
LIFE = DEFAULT_LIMITS.continuation_life + DEFAULT_LIMITS.clock_skew


def connected() -> Desk:
    desk = Desk(Tape())
    desk.connect()
    desk.now += ROUND_TRIP
    return desk


def claims_of(desk: Desk) -> Claims:
    """What the only connection has used up."""
    (claims,) = desk.listener._claims._claims.values()
    return claims


def challenged(desk: Desk) -> None:
    """The client takes a continuation of the clock as it is now, if it has to."""
    (answer, *_) = desk.send(desk.peer.restart(desk.peer.bound()))
    if answer[0] == Kind.REFUSAL:
        desk.peer.receive(answer)


def restarts_in(desk: Desk, duration: int) -> list[int]:
    """When restarts were answered that a client tries again and again."""
    began, times = desk.now, list[int]()
    while desk.now < began + duration:
        if desk.send(desk.peer.restart(max(desk.peer.bound(), claims_of(desk).above))):
            times.append(desk.now - began)
        desk.now += 10 * MILLISECOND
    return times


@pytest.mark.parametrize("step", STEPS)
def test_restarts_wait_no_longer_than_without_the_step(step: int) -> None:
    desk = connected()
    for _ in range(5):
        restarts_in(desk, SECOND)
    desk.now -= step
    if step > DEFAULT_LIMITS.clock_skew:
        challenged(desk)
    times = restarts_in(desk, 2 * DEFAULT_LIMITS.most_backoff)
    assert times
    assert times[0] <= DEFAULT_LIMITS.most_backoff


@pytest.mark.parametrize("step", STEPS)
def test_a_step_earns_nothing_at_once(step: int) -> None:
    desk = connected()
    while not desk.send(desk.peer.restart(desk.peer.bound() + 1)):
        desk.now += MILLISECOND
    pace = claims_of(desk).pace
    left = pace.backoff.due - desk.now
    desk.now -= step
    desk.listener.handle(b"", ("192.0.2.1", 9), now=desk.now)
    after = claims_of(desk).pace
    assert (after.backoff.due - desk.now, after.backoff.wait) == (left, pace.backoff.wait)
    assert after.used >= min(pace.used, desk.now)
    assert (after.shown, after.credit) == (pace.shown, pace.credit)


@pytest.mark.parametrize("step", STEPS[1:])
def test_a_connection_that_is_used_a_little_has_its_window_again_within_the_skew(step: int) -> None:
    desk = connected()
    desk.now -= step
    challenged(desk)
    desk.now += DEFAULT_LIMITS.clock_skew + SECOND
    got = []
    for _ in range(5):
        desk.now += 5 * SECOND
        answers = desk.send(desk.peer.restart(desk.peer.bound(), flags=CLEAN, wants=((0, 5_000),)))
        desk.peer.read(answers)
        got.append(len(answers))
    assert got[-1] >= 4, got


def test_repeats_wait_no_longer_either() -> None:
    desk = connected()
    runs = desk.peer.proof(desk.peer.base)
    lo, hi = desk.peer.base, desk.peer.base + 2
    assert desk.send(desk.peer.speak(lo, hi, runs=runs))
    for _ in range(6):
        desk.now += SECOND
        desk.send(desk.peer.speak(lo, hi, flags=PROBE, runs=runs))
    desk.now -= 5 * SECOND  # its continuation is good still
    desk.now += DEFAULT_LIMITS.most_backoff
    assert desk.send(desk.peer.speak(lo, hi, flags=PROBE, runs=runs))


@pytest.mark.parametrize("step", STEPS)
def test_a_replay_filter_goes_on_for_as_long_as_it_would_have(step: int) -> None:
    tags = (sha256(b"%d" % number).digest()[:16] for number in range(9))
    found, now = ReplayFilter(bits=1 << 12, period=LIFE), step
    first = next(tags)
    assert not found.seen(first, now=now)
    now -= step
    found.set_back(step)
    assert found.seen(first, now=now)
    now += 2 * LIFE
    assert not found.seen(next(tags), now=now)
    assert not found.seen(first, now=now + LIFE), "it has rotated"


@pytest.mark.parametrize("step", STEPS)
def test_those_who_wait_hear_as_often_as_before(step: int) -> None:
    late, desk = Desk(Patient()), connected()
    late.peer, late.now = desk.peer, desk.now
    desk = late
    assert not desk.send(desk.peer.speak(9, 11))
    assert desk.listener.next_timeout() is not None
    desk.now += 20 * MILLISECOND
    assert desk.listener.poll(desk.now)
    before = desk.listener.next_timeout() or 0
    left = before - desk.now
    desk.now -= step
    assert desk.listener.poll(desk.now) == []
    assert (desk.listener.next_timeout() or 0) - desk.now <= left
    desk.now += left
    heard = desk.listener.poll(desk.now)
    assert heard
    assert desk.listener.poll(desk.now) == [], "once each time"
