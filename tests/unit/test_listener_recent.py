"""What was computed lately: bounded, and what is asked for stays."""

import pytest

from trickles.listener.recent import Recent


def test_what_was_added_is_found_until_it_is_forgotten() -> None:
    recent: Recent[int, str] = Recent(4)
    recent.add(1, "one")
    assert recent.find(1) == "one"
    assert recent.find(2) is None
    recent.clear()
    assert recent.find(1) is None
    assert len(recent) == 0


@pytest.mark.parametrize("limit", [2, 3, 4, 10, 101])
def test_it_never_holds_more_than_its_limit(limit: int) -> None:
    recent: Recent[int, int] = Recent(limit)
    for number in range(1, 500):
        recent.add(number, number)
        recent.find(number // 2)
        assert len(recent) <= limit
        assert recent.find(number) == number


def test_what_is_asked_for_again_and_again_outlives_what_is_not() -> None:
    recent: Recent[int, int] = Recent(10)
    recent.add(-1, 7)
    recent.add(-2, 8)
    for number in range(100):
        recent.add(number, 1)
        assert recent.find(-1) == 7
    assert recent.find(-2) is None


def test_the_newest_half_is_always_there() -> None:
    recent: Recent[int, int] = Recent(10)
    for number in range(1, 100):
        recent.add(number, number)
        assert all(recent.find(each) == each for each in range(max(1, number - 4), number + 1))
