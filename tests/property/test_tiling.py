"""The tiling rule: whatever the law, adjacent requests earn every number exactly once, in any order, on any replica."""

from collections.abc import Iterator
from itertools import accumulate, pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickles.law import LAWS, Law
from trickles.trickle import Episode, course

LAW = 200  # an identifier that no real law has
STEPS = st.lists(st.integers(0, 9), max_size=60)
CUTS = st.lists(st.integers(0, 80), max_size=20)


@pytest.fixture(autouse=True)
def _no_law_is_left_behind() -> Iterator[None]:
    yield
    LAWS.pop(LAW, None)


def fabricate(start: int, steps: list[int]) -> None:
    """A law that grows by those steps and then stays."""
    windows = list(accumulate(steps, initial=start))
    LAWS[LAW] = Law(LAW, "fabricated", lambda acked, _start, _ssthresh: windows[min(acked, len(windows) - 1)])


@given(st.integers(0, 20), STEPS, CUTS, st.integers(0, 1 << 31), st.randoms(use_true_random=False))
def test_any_partition_in_any_order_earns_each_number_once(
    start: int, steps: list[int], cuts: list[int], base: int, chance: Random
) -> None:
    fabricate(start, steps)
    episode = Episode(base, start, 0, LAW)
    bounds = sorted({base, base + 80, *(base + cut for cut in cuts)})
    requests = list(pairwise(bounds))
    chance.shuffle(requests)
    earned: list[int] = []
    for lo, hi in requests:
        followed = course(episode, [(base, hi)])  # all that this replica ever sees
        earned += range(followed.edge(lo), followed.edge(hi))
    assert sorted(earned) == list(range(episode.edge(base), episode.edge(base + 80)))


@given(st.integers(0, 20), STEPS)
def test_the_first_window_and_what_is_earned_are_everything_that_is_sent(start: int, steps: list[int]) -> None:
    fabricate(start, steps)
    episode = Episode(0, start, 0, LAW)
    assert episode.edge(0) == episode.window(0) == start  # numbers [0, start) come with the episode itself
    edges = [episode.edge(number) for number in range(70)]
    assert all(after > before for before, after in pairwise(edges))


@given(st.integers(1, 64), st.integers(0, 128), st.lists(st.integers(1, 50), max_size=20))
def test_what_is_in_flight_is_never_more_than_the_window(start: int, ssthresh: int, bursts: list[int]) -> None:
    episode, spoken = Episode(0, start, ssthresh), 0
    for size in bursts:
        spoken = min(spoken + size, episode.edge(spoken))  # no one can speak for what was not sent
        assert episode.edge(spoken) - spoken == episode.window(spoken)
