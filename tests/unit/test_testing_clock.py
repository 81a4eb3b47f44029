"""Virtual time: order, ties, timers that move, and time that must not stand still."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickles.testing import Clock, Livelock, Timer
from trickles.testing.seeds import Seeds


@given(st.lists(st.integers(0, 20)))
def test_events_run_by_time_and_then_in_the_order_they_were_asked_for(times: list[int]) -> None:
    clock = Clock()
    seen: list[tuple[int, int]] = []
    for index, when in enumerate(times):
        clock.at(when, seen.append, (when, index))
    clock.run(100)
    assert seen == sorted(seen)
    assert len(seen) == len(times)


def test_a_clock_says_when_the_next_event_is_due() -> None:
    clock = Clock()
    due = [clock.next_at]
    for when in (9, 5):
        clock.at(when, lambda _: None, None)
        due.append(clock.next_at)
    assert due == [None, 9, 5]
    clock.run(5)
    assert [clock.next_at, clock.now] == [9, 5]


def test_an_event_may_schedule_another_for_the_same_moment() -> None:
    clock = Clock()
    seen: list[int] = []
    clock.at(5, lambda _: clock.after(0, lambda: seen.append(clock.now)), None)
    clock.run(5)
    assert seen == [5]


def test_a_run_stops_at_its_limit_and_goes_on_from_there() -> None:
    clock = Clock()
    seen: list[int] = []
    clock.every(10, lambda: seen.append(clock.now), first=3)
    assert clock.run(23) is False
    assert (seen, clock.now) == ([3, 13, 23], 23)
    clock.run(32)
    assert (len(seen), clock.now) == (3, 32)


def test_a_run_stops_as_soon_as_its_condition_holds() -> None:
    clock = Clock()
    clock.every(10, lambda: None)
    assert clock.run(1_000, lambda: clock.now >= 50)
    assert clock.now == 50
    assert clock.run(1_000, lambda: True)
    assert clock.now == 50


def test_the_past_is_closed() -> None:
    clock = Clock()
    clock.after(10, lambda: None)
    clock.run(10)
    with pytest.raises(ValueError, match="before now"):
        clock.at(9, print, None)
    with pytest.raises(ValueError, match="stop time"):
        clock.every(0, lambda: None)


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 30), st.none() | st.integers(0, 60))))
def test_a_timer_fires_once_for_the_last_deadline_it_was_given(settings: list[tuple[int, int | None]]) -> None:
    clock, fired = Clock(), list[int]()
    timer = Timer(clock, lambda: fired.append(clock.now))
    for when, deadline in settings:
        clock.at(when, timer.set, deadline)
    clock.run(100)
    assert fired == expected_firings(settings)
    assert timer.deadline is None


def expected_firings(settings: list[tuple[int, int | None]]) -> list[int]:
    """The stupid way: step through every microsecond. Settings of a moment come before what is due at it."""
    fired, deadline = list[int](), None
    for now in range(101):
        for when, wanted in settings:
            if when != now:
                continue
            deadline = wanted
        if deadline is not None and deadline <= now:
            fired.append(now)
            deadline = None
    return fired


def test_a_timer_that_is_always_due_is_found_out() -> None:
    clock = Clock()

    def again() -> None:
        timer.set(clock.now)

    timer = Timer(clock, again)
    timer.set(7)
    with pytest.raises(Livelock, match="it is 7"):
        clock.run(100)


def test_streams_depend_on_the_seed_and_the_name_alone() -> None:
    assert Seeds(1).random("a").random() == Seeds(1).random("a").random()
    draws = {Seeds(seed).random(name).random() for seed in range(10) for name in "abc"}
    assert len(draws) == 30
    assert Seeds(3).random("link/up/loss").getrandbits(32) == 1929229669
    assert Seeds(3).entropy("x")(16) == Seeds(3).entropy("x")(16)
