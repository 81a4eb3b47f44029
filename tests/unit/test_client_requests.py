"""Requests in flight: the state machine that the table describes, settled numbers, and the answers to each."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickles.client.requests import TRANSITIONS, InFlight, Requests, Signal, State

A, B = ("10.0.0.1", 443), ("10.0.0.2", 443)
ACTS: dict[Signal, Callable[[InFlight], object]] = {
    Signal.SEND: lambda request: request.on_sent(7, 1_000),
    Signal.ANSWER: lambda request: request.on_answered(newest=True),
    Signal.RETRY: lambda request: request.retry(2_000, B),
    Signal.END: InFlight.end,
}


def made() -> InFlight:
    return request_for(10, 20)


def request_for(start: int, stop: int) -> InFlight:
    return InFlight(start, stop, 0, 0, A, 0)


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


@given(st.integers(0, 1000), st.integers(1, 40), st.lists(st.tuples(st.integers(-5, 50), st.integers(0, 20))))
def test_settling_counts_each_number_once(start: int, size: int, spans: list[tuple[int, int]]) -> None:
    found, settled = request_for(start, start + size), set[int]()
    for offset, count in spans:
        numbers = set(range(start + offset, start + offset + count)) & set(range(start, start + size))
        assert found.settle(start + offset, start + offset + count) == len(numbers - settled)
        settled |= numbers
        assert found.done == (len(settled) == size)


def test_a_request_that_was_granted_less_is_done_sooner() -> None:
    found = request_for(10, 20)
    found.settle(10, 12)
    found.settle(18, 20)
    found.resize(12)
    assert found.done
    found.resize(13)
    assert not found.done


def test_requests_are_found_by_the_low_half_of_any_of_their_numbers() -> None:
    requests, first, second = Requests(), request_for(0, 5), request_for(5, 10)
    for each in (first, second):
        requests.add(each)
    requests.sent(first, 7, 0)
    first.retry(0)
    requests.sent(first, 0x1_0008, 0)
    requests.sent(second, 9, 0)
    assert [requests.find(number) for number in (7, 8, 0x9_0008, 9, 10)] == [first, first, first, second, None]
    requests.remove(first)
    assert [requests.find(number) for number in (7, 8, 9)] == [None, None, second]
    requests.remove(first)
    assert list(requests) == [second]


def test_a_request_number_that_came_round_names_the_later_request() -> None:
    requests, first, second = Requests(), request_for(0, 5), request_for(5, 10)
    for number, each in ((3, first), (0x1_0003, second)):
        requests.add(each)
        requests.sent(each, number, 0)
    requests.remove(first)
    assert requests.find(3) is second


def test_lost_numbers_end_the_requests_that_waited_for_nothing_else() -> None:
    requests, first, second, third = Requests(), request_for(0, 5), request_for(5, 10), request_for(10, 15)
    for each in (first, second, third):
        requests.add(each)
    first.settle(0, 4)
    assert requests.lose(4, 7) == [first]
    assert [each.lost for each in (first, second, third)] == [True, True, False]
    assert list(requests) == [first, second, third]
