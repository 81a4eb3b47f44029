"""Clever structures against stupid ones: ranges against sets of integers, reassembly against a sheet of bytes."""

from hypothesis import given
from hypothesis import strategies as st

from trickles.client.reassembly import Reassembly
from trickles.ranges import Range, RangeSet

SPAN = st.tuples(st.integers(0, 60), st.integers(0, 9)).map(lambda pair: (pair[0], pair[0] + pair[1]))
DOINGS = st.lists(st.tuples(st.sampled_from(["add", "discard", "discard_below"]), SPAN), max_size=30)


def done(doings: list[tuple[str, Range]]) -> tuple[RangeSet, set[int]]:
    clever, stupid = RangeSet(), set[int]()
    for doing, (start, stop) in doings:
        if doing == "add":
            clever.add(start, stop)
            stupid.update(range(start, stop))
        elif doing == "discard":
            clever.discard(start, stop)
            stupid.difference_update(range(start, stop))
        else:
            clever.discard_below(start)
            stupid = {number for number in stupid if number >= start}
    return clever, stupid


@given(DOINGS)
def test_ranges_agree_with_a_set_and_stay_sorted_and_apart(doings: list[tuple[str, Range]]) -> None:
    clever, stupid = done(doings)
    assert [number for start, stop in clever for number in range(start, stop)] == sorted(stupid)
    flat = [bound for pair in clever for bound in pair]
    assert flat == sorted(set(flat))


@given(DOINGS, SPAN)
def test_questions_are_answered_as_a_set_would(doings: list[tuple[str, Range]], span: Range) -> None:
    clever, stupid = done(doings)
    asked = set(range(*span))
    assert clever.contains(*span) == (asked <= stupid)
    gaps = clever.missing(*span)
    assert [number for start, stop in gaps for number in range(start, stop)] == sorted(asked - stupid)


CONTENT = bytes(range(70))
PIECES = st.lists(SPAN, max_size=30)


@given(PIECES, st.lists(st.integers(0, 30), max_size=5))
def test_bytes_come_out_in_order_once_whatever_order_they_came_in(pieces: list[Range], takes: list[int]) -> None:
    clever, arrived, taken = Reassembly(), set[int](), b""
    for index, (start, stop) in enumerate(pieces):
        fresh = clever.add(start, CONTENT[start:stop])
        assert fresh == len(set(range(start, stop)) - arrived)
        arrived.update(range(start, stop))
        if index in takes:
            taken += b"".join(clever.take())
            assert clever.ready_bytes == 0
    edge = next(offset for offset in range(100) if offset not in arrived)
    assert clever.next_offset == edge
    assert clever.ready_bytes == edge - len(taken)
    assert taken + b"".join(clever.take()) == CONTENT[:edge]


@given(PIECES, SPAN)
def test_what_has_not_arrived_is_known(pieces: list[Range], span: Range) -> None:
    clever, arrived = Reassembly(), set[int]()
    for start, stop in pieces:
        clever.add(start, memoryview(CONTENT)[start:stop])
        arrived.update(range(start, stop))
    gaps = clever.missing(*span)
    assert [offset for start, stop in gaps for offset in range(start, stop)] == sorted(set(range(*span)) - arrived)
