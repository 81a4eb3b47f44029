"""Which numbers a connection has claimed: nothing is granted twice, and what is remembered is bounded."""

from trickles.listener.claims import ClaimTable
from trickles.listener.decisions import Decision
from trickles.trickle import Episode


def test_overlapping_claims_of_one_connection_are_caught_and_those_of_others_are_not() -> None:
    claims = ClaimTable(10)
    assert claims.of(b"a").claim(0, 10)
    assert claims.of(b"a").claim(10, 20)
    assert claims.of(b"b").claim(5, 15)
    for start, stop in [(0, 10), (9, 11), (19, 25), (5, 6)]:
        assert not claims.of(b"a").claim(start, stop)
    assert claims.of(b"a").claim(20, 21)


def test_a_claim_that_was_caught_leaves_no_trace() -> None:
    claims = ClaimTable(10)
    claims.of(b"a").claim(0, 10)
    assert not claims.of(b"a").claim(9, 20)
    assert claims.of(b"a").claim(10, 20)


def test_a_claim_taken_back_may_be_made_again() -> None:
    claims = ClaimTable(10)
    claims.of(b"a").claim(0, 10)
    of_a = claims.of(b"a")
    taken = Decision(10, 20, Episode(0, 10, 10), False, 1200, of_a, of_a.top)
    assert of_a.claim(10, 20)
    assert of_a.claim(20, 30)
    taken.give_back()
    assert claims.of(b"a").claim(10, 20)
    assert not claims.of(b"a").claim(0, 1)
    assert not claims.of(b"a").claim(29, 30)


def test_the_table_is_bounded_and_forgets_who_was_silent_longest() -> None:
    claims = ClaimTable(4)
    for name in (b"a", b"b", b"c", b"a", b"d"):
        claims.of(name).claim(0, 1)
    assert len(claims) == 3
    assert not claims.of(b"a").claim(0, 1)  # it spoke lately
    assert claims.of(b"b").claim(0, 1)  # it was forgotten
    claims.clear()
    assert len(claims) == 0
    assert claims.of(b"a").claim(0, 1)


def test_ranges_of_one_connection_are_bounded_and_what_is_forgotten_counts_as_used() -> None:
    claims = ClaimTable(3)
    for number in range(1, 101):
        assert claims.of(b"a").claim(10 * number, 10 * number + 1)
    assert claims.of(b"a").claim(1_005, 1_006)
    assert claims.of(b"a").claim(995, 996)  # what is remembered has gaps
    for start in range(600):
        assert not claims.of(b"a").claim(start, start + 1)
