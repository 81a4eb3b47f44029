"""Requests in flight as the state machine that the table describes."""

from collections.abc import Callable

import pytest

from trickles.client.requests import TRANSITIONS, InFlight, Requests, Signal, State

A, B = ("10.0.0.1", 443), ("10.0.0.2", 443)
ACTS: dict[Signal, Callable[[InFlight], object]] = {
    Signal.SEND: lambda request: request.on_sent(7, 1_000),
    Signal.ANSWER: lambda request: request.on_answered(newest=True),
    Signal.RETRY: lambda request: request.retry(2_000, B),
    Signal.END: InFlight.end,
}


def made() -> InFlight:
    return InFlight(10, 20, 0, 10, A, 0)


def ways() -> dict[State, list[Signal]]:
    """A shortest way to each state, found by the table alone."""
    found: dict[State, list[Signal]] = {State.UNSENT: []}
    queue = [State.UNSENT]
    for state in queue:
        for signal in Signal:
            after = TRANSITIONS.get((state, signal))
            if after is not None and after not in found:
                found[after] = [*found[state], signal]
                queue.append(after)
    return found


def test_every_state_can_be_reached_and_left() -> None:
    assert set(ways()) == set(State)
    assert all((state, Signal.END) in TRANSITIONS for state in State)


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("signal", list(Signal))
def test_every_pair_does_what_the_table_says(state: State, signal: Signal) -> None:
    request = made()
    for each in ways()[state]:
        ACTS[each](request)
    assert request.state is state
    if (state, signal) in TRANSITIONS:
        ACTS[signal](request)
        assert request.state is TRANSITIONS[state, signal]
    else:
        with pytest.raises(KeyError):
            ACTS[signal](request)
        assert request.state is state


def test_an_answer_from_where_it_was_moved_to_shows_who_is_dead() -> None:
    request = made()
    request.on_sent(1, 0)
    request.probe(B, 100)
    request.on_sent(2, 100)
    assert request.on_answered(newest=False) is None
    assert request.on_answered(newest=True) == A
    assert request.on_answered(newest=True) is None


def test_a_probe_at_the_only_replica_accuses_nobody() -> None:
    request = made()
    request.on_sent(1, 0)
    request.probe(A, 100)
    request.on_sent(2, 100)
    assert request.on_answered(newest=True) is None


def test_what_is_asked_for_again_is_known_under_its_newest_numbers_only() -> None:
    requests, request = Requests(), made()
    requests.add(request)
    for number in range(100):
        requests.sent(request, number, number)
        request.retry(number)
    assert [number for number in range(100) if requests.find(number) is request] == list(range(84, 100))
    requests.remove(request)
    assert all(requests.find(number) is None for number in range(100))
