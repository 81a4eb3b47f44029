"""Sets of ranges by example: merging, splitting, bounds."""

import pytest

from trickles.ranges import RangeSet


def ranges(*pairs: tuple[int, int]) -> RangeSet:
    made = RangeSet()
    for start, stop in pairs:
        made.add(start, stop)
    return made


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], []),
        ([(0, 5), (5, 9)], [(0, 9)]),
        ([(5, 9), (0, 5)], [(0, 9)]),
        ([(0, 2), (4, 6), (2, 4)], [(0, 6)]),
        ([(0, 2), (4, 6), (8, 9), (1, 8)], [(0, 9)]),
        ([(3, 4), (0, 10)], [(0, 10)]),
        ([(0, 10), (3, 4)], [(0, 10)]),
        ([(0, 10), (10, 10), (12, 11)], [(0, 10)]),
        ([(0, 1), (2, 3), (4, 5)], [(0, 1), (2, 3), (4, 5)]),
    ],
)
def test_what_touches_is_merged(pairs: list[tuple[int, int]], expected: list[tuple[int, int]]) -> None:
    assert list(ranges(*pairs)) == expected


def test_taking_out_splits_and_trims() -> None:
    found = ranges((0, 10), (20, 30), (40, 50))
    found.discard(3, 5)
    found.discard(25, 45)
    assert list(found) == [(0, 3), (5, 10), (20, 25), (45, 50)]


def test_taking_out_nothing_changes_nothing() -> None:
    found = ranges((0, 10))
    found.discard(5, 5)
    assert list(found) == [(0, 10)]


def test_forgetting_below_a_bound_trims_the_range_it_lies_in() -> None:
    found = ranges((0, 10), (20, 30))
    found.discard_below(25)
    assert list(found) == [(25, 30)]
    found.discard_below(30)
    assert (list(found), len(found)) == ([], 0)


def test_what_is_missing_is_told_in_order() -> None:
    found = ranges((5, 10), (20, 30))
    assert found.missing(0, 40) == [(0, 5), (10, 20), (30, 40)]
    assert found.missing(6, 9) == []
    assert found.missing(9, 21) == [(10, 20)]
    assert found.missing(7, 7) == []


def test_an_empty_range_is_contained() -> None:
    found = ranges((5, 10))
    assert found.contains(3, 3)
