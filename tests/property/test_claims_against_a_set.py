"""The claims of a connection compared with a set of numbers that forgets nothing."""

from hypothesis import given
from hypothesis import strategies as st

from trickles.listener.claims import Claims

Range = tuple[int, int]
RANGES = st.tuples(st.integers(0, 60), st.integers(1, 9)).map(lambda pair: (pair[0], pair[0] + pair[1]))
FAR = st.tuples(st.integers(0, 5_000), st.integers(1, 9)).map(lambda pair: (pair[0], pair[0] + pair[1]))
STEPS = st.lists(st.tuples(st.booleans(), RANGES), max_size=31)  # fewer than are remembered


@given(STEPS, RANGES)
def test_claims_and_what_is_given_back_agree_with_a_set(steps: list[tuple[bool, Range]], asked: Range) -> None:
    clever, stupid, taken = Claims(), set[int](), list[Range]()
    for claims, (start, stop) in steps:
        numbers = set(range(start, stop))
        if claims:
            assert clever.claim(start, stop) == (not numbers & stupid)
            if not numbers & stupid:
                stupid |= numbers
                taken.append((start, stop))
        elif taken:
            start, stop = taken.pop(start % len(taken))
            clever.release(start, stop)
            stupid -= set(range(start, stop))
        assert clever.claimed(*asked) == bool(stupid & set(range(*asked)))


@given(st.lists(FAR, max_size=200), st.lists(st.integers(0, 199), max_size=20))
def test_whatever_is_forgotten_nothing_is_earned_twice(ranges: list[Range], given_back: list[int]) -> None:
    claims, used, taken = Claims(), set[int](), list[Range]()
    for at, (start, stop) in enumerate(ranges):
        if claims.claim(start, stop):
            assert used.isdisjoint(range(start, stop))
            used |= set(range(start, stop))
            taken.append((start, stop))
        if at in given_back and taken:
            start, stop = taken.pop()
            claims.release(start, stop)
            used -= set(range(start, stop))
        assert claims.held <= Claims.MAX_RANGES


@given(st.permutations(range(40)))
def test_pieces_in_any_order_grow_together(order: list[int]) -> None:
    claims = Claims()
    for number in order[:16]:
        assert claims.claim(10 * number, 10 * number + 10)
    for number in order[:16]:
        assert not claims.claim(10 * number + 9, 10 * number + 11)
        assert claims.claimed(10 * number, 10 * number + 1)
    for number in order[16:]:
        assert not claims.claimed(10 * number, 10 * number + 10)


@given(st.lists(RANGES, min_size=1, max_size=60))
def test_what_was_claimed_highest_is_never_earned_twice(ranges: list[Range]) -> None:
    claims = Claims()
    highest = max(stop for start, stop in ranges if claims.claim(start, stop))
    assert claims.claimed(highest - 1, highest)
    assert not claims.claimed(highest, highest + 100)
