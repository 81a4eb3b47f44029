"""What a listener remembers against replays: for how long, how much, and what it costs to forget."""

import sys
from hashlib import sha256

import pytest

from trickles.replay import ReplayFilter

PERIOD = 1000


def tag(number: int) -> bytes:
    return sha256(b"%d" % number).digest()[:16]


def test_a_tag_is_new_once() -> None:
    found = ReplayFilter(bits=1 << 16, period=PERIOD)
    assert [found.seen(tag(number), now=0) for number in range(500)] == [False] * 500
    assert [found.seen(tag(number), now=0) for number in range(500)] == [True] * 500


@pytest.mark.parametrize("first", [0, 1, 999, 1000, 12_345])
@pytest.mark.parametrize("seen_after", [0, 500, 999])
def test_a_tag_is_remembered_for_a_period_at_least(first: int, seen_after: int) -> None:
    found = ReplayFilter(bits=1 << 16, period=PERIOD)
    found.seen(tag(0), now=first)
    found.seen(tag(1), now=first + seen_after)
    assert found.seen(tag(1), now=first + seen_after + PERIOD)


def test_a_tag_is_forgotten_after_two_periods_and_the_filter_never_fills() -> None:
    found = ReplayFilter(bits=1 << 12, period=PERIOD)
    found.seen(tag(0), now=0)
    found.seen(tag(1), now=PERIOD)
    assert not found.seen(tag(0), now=2 * PERIOD)
    false = sum(found.seen(tag(number), now=number * 20) for number in range(1000, 3000))
    assert false < 20


def test_after_a_long_pause_nothing_is_remembered() -> None:
    found = ReplayFilter(bits=1 << 12, period=PERIOD)
    found.seen(tag(0), now=0)
    assert not found.seen(tag(0), now=10 * PERIOD)


def test_false_positives_stay_below_one_in_ten_thousand_at_the_load_it_is_made_for() -> None:
    found = ReplayFilter(bits=1 << 20, period=PERIOD)  # a sixteenth of the default, at a sixteenth of its load
    assert sum(found.seen(tag(number), now=0) for number in range(100_000 // 16)) <= 1


def test_no_tag_is_forgotten_while_the_filter_grows_not_even_one_of_the_generation_before() -> None:
    found = ReplayFilter(bits=1 << 20, period=PERIOD)
    old, fresh = [tag(number) for number in range(10)], [tag(number) for number in range(10, 2000)]
    for each in old:
        found.seen(each, now=0)
    assert sum(found.seen(each, now=PERIOD) for each in fresh) < 5
    assert all(found.seen(each, now=PERIOD) for each in old + fresh)


def held_bytes(found: ReplayFilter) -> int:
    return sys.getsizeof(found._cells)


def test_a_filter_takes_memory_as_requests_come_and_never_more_than_its_bits() -> None:
    found, most = ReplayFilter(bits=1 << 18, period=PERIOD), (1 << 18) // 8 * 2
    sizes = []
    for number in range(2000):
        found.seen(tag(number), now=0)
        sizes.append(held_bytes(found))
    assert sizes[0] < 5000
    assert sizes == sorted(sizes)
    assert most <= sizes[-1] < most + 200
    found.seen(tag(0), now=10 * PERIOD)  # after a pause
    assert held_bytes(found) == sizes[0]


@pytest.mark.parametrize("bits", [0, 32, 63, 65, 100, -64])
def test_bits_are_a_power_of_two(bits: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        ReplayFilter(bits=bits, period=PERIOD)
