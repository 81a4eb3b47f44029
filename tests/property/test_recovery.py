"""Loss: no number is earned twice and none is skipped, whatever is lost and however the requests are cut."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.model import Walk, runs_of, walked
from trickles.ranges import Range
from trickles.trickle import Course, Episode, Leg, LossRecovery, course

EPISODES = [Episode(0, 1, 1), Episode(0, 2, 4), Episode(7, 3, 64), Episode(0, 4, 2), Episode(9, 14, 7)]
EPISODE = st.builds(Episode, st.integers(0, 1000), st.integers(1, 40), st.integers(1, 80), st.just(1))


def patterns(episode: Episode, length: int) -> Iterator[tuple[bool, ...]]:
    """Every way in which up to `length` numbers can be received or lost; nobody receives what was not yet sent."""
    waiting: list[tuple[bool, ...]] = [()]
    while waiting:
        pattern = waiting.pop()
        if len(pattern) == length or walked(episode, pattern)[-1] <= episode.base + len(pattern):
            yield pattern
        else:
            waiting += [(*pattern, True), (*pattern, False)]


def proved(pattern: tuple[bool, ...]) -> tuple[bool, ...]:
    """The pattern up to the last packet that was received: nothing above it can be spoken for."""
    return pattern[: max((at + 1 for at, received in enumerate(pattern) if received), default=0)]


@pytest.mark.parametrize("episode", EPISODES, ids=str)
def test_the_closed_form_agrees_with_a_walk_through_every_short_pattern(episode: Episode) -> None:
    seen = 0
    for pattern in patterns(episode, 12):
        pattern = proved(pattern)
        edges = walked(episode, pattern)
        followed = course(episode, runs_of(episode.base, pattern))
        assert [followed.edge(number) for number in range(episode.base, episode.base + len(pattern) + 1)] == edges
        assert all(before <= after for before, after in pairwise(edges))
        seen += 1
    assert seen > 10


@pytest.mark.slow
@pytest.mark.parametrize("episode", [Episode(0, 3, 6), Episode(0, 14, 7)], ids=str)
def test_a_longer_proof_changes_nothing_that_was_earned_before(episode: Episode) -> None:
    for pattern in patterns(episode, 14):
        edges = walked(episode, pattern)
        for end in range(1, len(pattern) + 1):
            if pattern[end - 1]:
                followed = course(episode, runs_of(0, pattern[:end]))
                assert followed.edge(end) == edges[end]
                assert followed.edge(end // 2) == edges[end // 2]


@pytest.mark.slow
@pytest.mark.parametrize("episode", [Episode(0, 3, 6), Episode(0, 8, 4)], ids=str)
def test_every_partition_of_every_short_pattern_earns_each_number_once(episode: Episode) -> None:
    for pattern in {proved(each) for each in patterns(episode, 10)}:
        expected = list(range(episode.start, walked(episode, pattern)[-1]))
        inner = [at + 1 for at, received in enumerate(pattern[:-1]) if received]
        for chosen in range(1 << len(inner)):
            bounds = [0, *(cut for bit, cut in enumerate(inner) if chosen >> bit & 1), len(pattern)]
            assert earned(episode, pattern, list(pairwise(bounds))) == expected, (pattern, bounds)


def earned(episode: Episode, pattern: tuple[bool, ...], requests: list[Range]) -> list[int]:
    """All that those requests earn, each with the proof up to its own end."""
    numbers: list[int] = []
    for lo, hi in requests:
        followed = course(episode, runs_of(episode.base, pattern[: hi - episode.base]))
        numbers += range(followed.edge(lo), followed.edge(hi))
    return numbers


LOSSES = st.lists(st.integers(0, 100), max_size=150)


def arrivals(episode: Episode, losses: list[int], percent: int) -> tuple[bool, ...]:
    """What of a sent sequence was received when those of its packets are lost that drew less than `percent`."""
    walk, pattern = Walk(episode.base, episode.start, episode.ssthresh), []
    for draw in losses:
        if walk.edge <= walk.at:
            break  # nothing is in flight: only a restart goes on
        pattern.append(draw >= percent)
        walk.decide(received=pattern[-1])
    return proved(tuple(pattern))


@given(
    EPISODE, LOSSES, st.integers(0, 60), st.lists(st.integers(0, 150), max_size=12), st.randoms(use_true_random=False)
)
def test_requests_cut_anywhere_with_proofs_of_any_age_earn_each_number_once(
    episode: Episode, losses: list[int], percent: int, cuts: list[int], chance: Random
) -> None:
    pattern = arrivals(episode, losses, percent)
    base, stop = episode.base, episode.base + len(pattern)
    ends = [at + 1 for at in range(len(pattern)) if pattern[at]]
    requests = list(pairwise(sorted({base, stop, *(base + cut for cut in cuts if base + cut < stop)})))
    chance.shuffle(requests)
    numbers: list[int] = []
    for lo, hi in requests:
        age = chance.choice([end for end in ends if base + end >= hi])
        followed = course(episode, runs_of(base, pattern[:age]))
        numbers += range(followed.edge(lo), followed.edge(hi))
    assert sorted(numbers) == list(range(base + episode.start, walked(episode, pattern)[-1]))


@given(EPISODE, LOSSES, st.integers(0, 40))
def test_a_fresh_continuation_goes_on_where_the_old_one_was(episode: Episode, losses: list[int], percent: int) -> None:
    pattern = arrivals(episode, losses, percent)
    old = course(episode, runs_of(episode.base, pattern))
    for leg in old.legs[1:]:
        skipped = leg.episode.base - episode.base
        fresh = course(leg.episode, runs_of(leg.episode.base, pattern[skipped:]))
        stop = episode.base + len(pattern)
        assert [fresh.edge(n) for n in range(leg.episode.base, stop + 1)] == [
            old.edge(n) for n in range(leg.episode.base, stop + 1)
        ]
        assert (fresh.episode, fresh.window(stop)) == (old.episode, old.window(stop))


@given(EPISODE, LOSSES, st.integers(0, 40))
def test_legs_join_without_gap_or_overlap(episode: Episode, losses: list[int], percent: int) -> None:
    pattern = arrivals(episode, losses, percent)
    legs = course(episode, runs_of(episode.base, pattern)).legs
    assert legs[0].episode == episode
    for leg, after in pairwise(legs):
        assert leg.recovery is not None
        assert after.episode.base == leg.recovery.last
        assert after.episode.edge(after.episode.base) == leg.edge(leg.recovery.last)
        assert after.episode.ssthresh == leg.recovery.reduced


@given(EPISODE, LOSSES, st.integers(1, 40))
def test_at_most_half_of_a_window_is_sent_while_it_recovers(episode: Episode, losses: list[int], percent: int) -> None:
    pattern = arrivals(episode, losses, percent)
    for leg in course(episode, runs_of(episode.base, pattern)).legs:
        if leg.recovery is not None:
            sent = leg.edge(leg.recovery.last) - leg.recovery.last
            assert sent <= leg.recovery.reduced == (max(leg.recovery.window // 2, 2) if leg.recovery.window > 2 else 1)


@given(EPISODE, LOSSES, st.integers(0, 60))
def test_a_restart_above_the_edge_is_above_everything_earned(episode: Episode, losses: list[int], percent: int) -> None:
    pattern = arrivals(episode, losses, percent)
    stop = episode.base + len(pattern)
    bound = course(episode, runs_of(episode.base, pattern)).edge(stop)
    assert all(edge <= bound for edge in walked(episode, pattern))


def test_holes_in_the_same_window_cost_nothing_more() -> None:
    one = course(Episode(0, 20, 20), [(0, 5), (6, 25)])
    many = course(Episode(0, 20, 20), [(0, 5), (6, 8), (9, 15), (20, 25)])
    assert [leg.episode for leg in one.legs] == [leg.episode for leg in many.legs][:1]
    assert one.window(25) == many.window(25) == 10


def test_a_hole_at_or_above_the_recovery_is_a_new_loss() -> None:
    followed = course(Episode(0, 4, 4), [(0, 4), (5, 8), (9, 10)])
    first, second = followed.legs
    assert first == Leg(Episode(0, 4, 4), LossRecovery(4, 5, 2, ((5, 8),)))
    assert second.episode == Episode(9, 2, 2)
    assert isinstance(followed, Course)
    assert course(Episode(0, 4, 4), [(0, 4), (5, 9), (10, 11)]).legs[1].recovery is not None


def test_a_run_that_reaches_beyond_a_recovery_counts_on_both_sides_of_its_end() -> None:
    followed = course(Episode(0, 4, 4), [(0, 4), (8, 1000), (1001, 1010)])
    first, second = followed.legs
    assert first.recovery == LossRecovery(4, 5, 2, ((8, 9),))
    assert second.episode == Episode(9, 1, 2)
    assert second.recovery is not None
    assert second.recovery.hole == 1000
    assert followed.reaches(1010)


@given(EPISODE, LOSSES, st.integers(0, 60))
def test_what_a_grant_has_made_is_always_within_reach(episode: Episode, losses: list[int], percent: int) -> None:
    pattern = arrivals(episode, losses, percent)
    for end in range(1, len(pattern) + 1):
        if pattern[end - 1]:
            assert course(episode, runs_of(episode.base, pattern[:end])).reaches(episode.base + end)


class Counted(Sequence[Range]):
    """Runs that count how often one is looked at."""

    def __init__(self, runs: list[Range]) -> None:
        self.runs = runs
        self.looks = 0

    def __len__(self) -> int:
        return len(self.runs)

    def __getitem__(self, at: Any) -> Any:
        self.looks += 1
        return self.runs[at]


GAPS = st.integers(1, 8) | st.integers(1, 1 << 30)
MADE_UP = st.lists(st.tuples(st.integers(0, 3) | GAPS, GAPS), min_size=1, max_size=64)


@given(EPISODE, MADE_UP)
def test_the_work_for_any_proof_is_bounded_by_its_number_of_runs(
    episode: Episode, shape: list[tuple[int, int]]
) -> None:
    runs, at = [], episode.base
    for index, (gap, length) in enumerate(shape):
        at += gap + (index > 0)
        runs.append((at, at + length))
        at += length
    counted = Counted(runs)
    followed = course(episode, counted)
    assert len(followed.legs) <= len(runs) + 1
    assert sum(len(leg.recovery.received) for leg in followed.legs if leg.recovery) <= 2 * len(runs)
    assert counted.looks <= 20 * len(runs)
    assert followed.edge(at) >= followed.edge(episode.base)
