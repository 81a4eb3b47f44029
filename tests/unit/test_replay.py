"""What a listener remembers against replays: for how long, how much, and what it costs to forget."""

from hashlib import sha256

import pytest

from trickles.replay import ClaimTable, ReplayFilter

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
    found = ReplayFilter(bits=1 << 18, period=PERIOD)  # a sixteenth of the default, at a sixteenth of its load
    assert sum(found.seen(tag(number), now=0) for number in range(100_000 // 16)) <= 1


@pytest.mark.parametrize("bits", [0, 32, 63, 65, 100, -64])
def test_bits_are_a_power_of_two(bits: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        ReplayFilter(bits=bits, period=PERIOD)


def test_overlapping_claims_of_one_connection_are_caught_and_those_of_others_are_not() -> None:
    claims = ClaimTable(10)
    assert claims.claim(b"a", 0, 10)
    assert claims.claim(b"a", 10, 20)
    assert claims.claim(b"b", 5, 15)
    for start, stop in [(0, 10), (9, 11), (19, 25), (5, 6)]:
        assert not claims.claim(b"a", start, stop)
    assert claims.claim(b"a", 20, 21)


def test_a_claim_that_was_caught_leaves_no_trace() -> None:
    claims = ClaimTable(10)
    claims.claim(b"a", 0, 10)
    assert not claims.claim(b"a", 9, 20)
    assert claims.claim(b"a", 10, 20)


def test_a_claim_taken_back_may_be_made_again() -> None:
    claims = ClaimTable(10)
    claims.claim(b"a", 0, 30)
    claims.release(b"a", 10, 20)
    assert claims.claim(b"a", 10, 20)
    assert not claims.claim(b"a", 0, 1)
    assert not claims.claim(b"a", 29, 30)


def test_the_table_is_bounded_and_forgets_who_was_silent_longest() -> None:
    claims = ClaimTable(3)
    for name in (b"a", b"b", b"c", b"a", b"d"):
        claims.claim(name, 0, 1)
    assert len(claims) == 3
    assert not claims.claim(b"a", 0, 1)  # it spoke lately
    assert claims.claim(b"b", 0, 1)  # it was forgotten
    claims.clear()
    assert len(claims) == 0
    assert claims.claim(b"a", 0, 1)


def test_ranges_of_one_connection_are_bounded_and_the_highest_are_kept() -> None:
    claims = ClaimTable(3)
    for number in range(100):
        assert claims.claim(b"a", 10 * number, 10 * number + 1)
    assert not claims.claim(b"a", 990, 991)
    assert claims.claim(b"a", 0, 1)


def test_restarts_after_loss_keep_their_distance() -> None:
    claims = ClaimTable(3)
    assert claims.may_restart(b"a", now=1000, interval=50)
    assert not claims.may_restart(b"a", now=1049, interval=50)
    assert claims.may_restart(b"b", now=1049, interval=50)
    assert claims.may_restart(b"a", now=1050, interval=50)
