"""The Reno law: its closed form is the ack-by-ack recurrence, at every start and far out."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.model import reno_steps
from trickles.law import LAWS, RENO


def test_the_closed_form_is_the_recurrence() -> None:
    for start in range(41):
        for ssthresh in range(1, 41):  # a threshold is never below one
            found = [RENO.window(acked, start, ssthresh) for acked in range(250)]
            assert found == list(islice(reno_steps(start, ssthresh), 250)), (start, ssthresh)


@pytest.mark.parametrize(("start", "ssthresh"), [(1, 1000), (10, 1 << 16), (500, 2), (32, 700), (3, 3)])
def test_the_closed_form_is_the_recurrence_for_long(start: int, ssthresh: int) -> None:
    expected = islice(reno_steps(start, ssthresh), 20_000)
    assert all(RENO.window(acked, start, ssthresh) == window for acked, window in enumerate(expected))


@given(st.integers(0, 1 << 33), st.integers(1, 1 << 16), st.integers(0, 1 << 17))
def test_far_out_each_window_lasts_as_many_packets_as_it_is_wide(acked: int, start: int, ssthresh: int) -> None:
    window, plateau = RENO.window(acked, start, ssthresh), max(start, ssthresh)
    beyond = acked - (plateau - start) - plateau  # packets acknowledged in congestion avoidance
    if beyond < 0:
        assert window == min(start + acked, plateau)
        return
    narrower = (window - 1) * window // 2 - plateau * (plateau + 1) // 2  # all windows between plateau and this one
    assert narrower <= beyond < narrower + window


@given(st.integers(0, 1 << 33), st.integers(0, 1 << 17), st.integers(1, 1 << 17))
def test_it_begins_at_its_start_and_never_decreases_and_never_jumps(acked: int, start: int, ssthresh: int) -> None:
    now, then = RENO.window(acked, start, ssthresh), RENO.window(acked + 1, start, ssthresh)
    assert now <= then <= now + 1
    assert RENO.window(0, start, ssthresh) == start


def test_laws_are_found_by_the_number_that_is_sealed() -> None:
    assert all(law.identifier == identifier and 0 < identifier < 256 for identifier, law in LAWS.items())
    assert LAWS[1] is RENO
