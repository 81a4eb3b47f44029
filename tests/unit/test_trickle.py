"""Episodes, losses and restarts by example, with the arithmetic of the RFCs beside it."""

import pytest

from trickles.trickle import (
    UNBOUNDED_SSTHRESH,
    Course,
    Episode,
    Leg,
    LossRecovery,
    course,
    paused,
    reduced_window,
    rescaled,
    timed_out,
)


def test_an_episode_begins_with_its_start_in_flight() -> None:
    episode = Episode(100, 10, UNBOUNDED_SSTHRESH)
    assert (episode.window(100), episode.edge(100)) == (10, 110)
    assert (episode.window(110), episode.edge(110)) == (20, 130)  # slow start doubles each round


def test_without_a_hole_a_course_is_its_episode() -> None:
    episode = Episode(5, 4, 8)
    for runs in ([], [(5, 9)], [(5, 40)]):
        followed = course(episode, runs)
        assert followed.legs == (Leg(episode),)
        assert followed.episode == episode


@pytest.mark.parametrize(
    ("window", "reduced"), [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 2), (6, 3), (7, 3), (100, 50)]
)
def test_a_loss_halves_the_window(window: int, reduced: int) -> None:
    assert reduced_window(window) == reduced


def test_a_loss_by_the_numbers() -> None:
    # window 10, packet 20 lost: nine more were in flight, and 10 more are clocked out up to last = 30
    followed = course(Episode(10, 10, 10), [(10, 20), (21, 30)])
    recovery = LossRecovery(20, 11, 5, ((21, 30),))
    assert followed.legs == (Leg(Episode(10, 10, 10), recovery),)
    assert recovery.last == 31
    assert [recovery.rank(number) for number in (21, 22, 30, 31)] == [0, 1, 9, 9]
    # ceil(d * 5 / 11) for d = 0 .. 9
    assert [followed.edge(number) - 31 for number in range(21, 31)] == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert (followed.window(20), followed.window(21), followed.window(30)) == (11, 5, 5)


def test_the_first_hole_may_be_the_first_number() -> None:
    followed = course(Episode(0, 4, 4), [(1, 4)])
    assert followed.legs[0].recovery == LossRecovery(0, 4, 2, ((1, 4),))
    assert followed.edge(0) == followed.edge(1) == 4


def test_the_next_episode_begins_where_recovery_ended() -> None:
    followed = course(Episode(0, 4, 4), [(0, 4), (5, 12)])
    assert followed.legs[0].recovery == LossRecovery(4, 5, 2, ((5, 9),))
    assert followed.episode == Episode(9, 2, 2)  # four of five delivered: ceil(4 * 2 / 5) are on their way
    assert followed.edge(9) == 11


def test_nothing_delivered_ends_the_course() -> None:
    followed = course(Episode(0, 4, 4), [(0, 4), (9, 10), (1 << 30, (1 << 30) + 1)])
    assert followed.legs == (Leg(Episode(0, 4, 4), LossRecovery(4, 5, 2, ())),)  # f(0) = 0: nothing is left in flight
    assert followed.edge(9) == followed.edge(10) == 9
    assert followed.reaches(9)
    assert not followed.reaches(10)


RUNNING = Course((Leg(Episode(0, 40, 40)),))


def test_a_pause_keeps_the_window_up_to_a_bound_and_remembers_the_rest() -> None:
    # RFC 7661: what was proved lately may be used again, the threshold keeps three quarters of it
    assert paused(RUNNING.episode, RUNNING.window(0), 99, 32) == Episode(99, 32, 40)
    assert paused(RUNNING.episode, RUNNING.window(0), 99, 64) == Episode(99, 40, 40)
    grown = course(Episode(0, 2, 4), [(0, 400)])
    assert paused(grown.episode, grown.window(400), 999, 10) == Episode(999, 10, grown.window(400) * 3 // 4)


@pytest.mark.parametrize(
    ("window", "start", "ssthresh"), [(1, 1, 2), (2, 1, 2), (3, 2, 2), (4, 2, 2), (10, 2, 5), (41, 2, 20)]
)
def test_a_timeout_begins_again_from_one_or_two(window: int, start: int, ssthresh: int) -> None:
    running = Course((Leg(Episode(0, window, window)),))
    assert timed_out(running.episode, running.window(0), 99) == Episode(99, start, ssthresh)  # RFC 5681 (4)


def test_a_restart_in_recovery_reckons_from_the_reduced_window() -> None:
    followed = course(Episode(0, 40, 40), [(0, 40), (41, 60)])
    assert timed_out(followed.episode, followed.window(60), 200) == Episode(200, 2, 10)


def test_larger_datagrams_keep_the_rate_in_bytes_and_are_at_least_one() -> None:
    episode = Episode(7, 32, 500)
    assert rescaled(episode, 1200, 1200) == rescaled(episode, 1472, 1200) == episode
    assert rescaled(episode, 1200, 2400).start == 16
    assert 1 <= rescaled(episode, 1200, 65_507).start <= 2
    assert rescaled(Episode(7, 1, 500), 1200, 9000).start == 1
