"""What to ask for: user continuations, and ranges of output that are lost or new."""

from hypothesis import given
from hypothesis import strategies as st

from trickles.client.requested import Requested
from trickles.wire.response import UserFrame

REPLICA = ("10.0.0.1", 443)
ROOM = 100


def frame(start: int, stop: int | None, consumed: int, blob: bytes = b"", *, more: bool = False) -> UserFrame:
    return UserFrame(start, stop, consumed, blob or b"%d" % start, more)


def wanting(*frames: UserFrame) -> Requested:
    wants = Requested()
    for each in frames:
        wants.learn(each, conversion=True)
    return wants


def test_without_a_continuation_there_is_nothing_to_ask_for() -> None:
    wants = Requested()
    assert wants.select(10, ROOM, 10_000, 8) == ((), b"", 0, False)
    assert (wants.newest, wants.tail, wants.largest_blob) == (None, 0, 0)


def test_new_output_is_asked_for_in_order_as_far_as_buffer_and_continuation_reach() -> None:
    wants = wanting(frame(0, 1000, 4))
    assert wants.select(3, ROOM, 10_000, 8).wants == ((0, 300),)
    assert wants.select(9, ROOM, 700, 8).wants == ((300, 700),)
    assert wants.select(9, ROOM, 700, 8).wants == ()
    assert wants.select(9, ROOM, 10_000, 8).wants == ((700, 1000),)
    assert wants.tail == 1000


def test_what_was_lost_comes_first() -> None:
    wants = wanting(frame(0, None, 4))
    wants.select(20, ROOM, 10_000, 8)
    wants.lost([(50, 90), (400, 450)])
    chosen = wants.select(4, ROOM, 10_000, 8)
    assert chosen.wants == ((50, 90), (400, 450), (2000, 2200))
    assert wants.select(1, ROOM, 10_000, 8).wants == ((2200, 2300),)


def test_a_packet_holds_bytes_of_one_range_and_few_ranges_are_asked_for_at_once() -> None:
    wants = wanting(frame(0, None, 4))
    wants.select(20, ROOM, 10_000, 8)
    wants.lost([(n, n + 1) for n in range(0, 100, 10)])
    assert len(wants.select(4, ROOM, 10_000, 8).wants) == 4
    assert len(wants.select(40, ROOM, 10_000, 3).wants) == 3


def test_looking_takes_nothing() -> None:
    wants = wanting(frame(0, None, 4))
    for _ in range(2):
        assert wants.select(2, ROOM, 10_000, 8, take=False).wants == ((0, 200),)
    assert wants.any_below(1)
    assert not wants.any_below(0)


def test_room_is_kept_for_what_else_the_first_packets_carry() -> None:
    wants = wanting(frame(0, None, 4))
    assert wants.select(3, ROOM, 10_000, 8, reserve=150).wants == ((0, 150),)


def test_each_request_is_for_the_output_of_one_continuation() -> None:
    wants = wanting(frame(0, 250, 4), frame(250, 900, 8))
    first = wants.select(9, ROOM, 10_000, 8)
    assert (first.wants, first.user) == (((0, 250),), b"0")
    second = wants.select(9, ROOM, 10_000, 8)
    assert (second.wants, second.user) == (((250, 900),), b"250")


def test_the_output_of_an_open_ended_continuation_stops_where_the_next_begins() -> None:
    wants = wanting(frame(0, None, 4))
    wants.select(9, ROOM, 10_000, 8)
    wants.learn(frame(500, 700, 8), conversion=True)
    assert [(each.start, each.stop) for each in wants.frames] == [(0, 500), (500, 700)]
    wants.lost([(480, 500)])
    assert wants.select(1, ROOM, 10_000, 8).user == b"0"


def test_what_has_arrived_is_forgotten_but_for_the_newest_continuation() -> None:
    wants = wanting(frame(0, 250, 4), frame(250, 900, 8), frame(900, 950, 12))
    wants.select(99, ROOM, 240, 8)
    wants.lost([(0, 100), (200, 240)])
    wants.forget_below(250)
    assert [each.start for each in wants.frames] == [250, 900]
    wants.forget_below(10_000)
    assert [each.start for each in wants.frames] == [900]
    assert wants.tail == 950


def test_of_two_answers_to_one_conversion_the_first_stands() -> None:
    wants = wanting(frame(0, 500, 4, b"first"))
    assert wants.learn(frame(0, 500, 4, b"first"), conversion=True)
    assert not wants.learn(frame(0, 600, 4, b"second"), conversion=True)
    assert wants.frames == [frame(0, 500, 4, b"first")]


def test_a_continuation_that_stands_may_be_renewed_and_an_older_one_may_not() -> None:
    wants = wanting(frame(0, 500, 4, b"old"), frame(500, 900, 8))
    assert not wants.learn(frame(0, 500, 4, b"late"), conversion=False)
    assert wants.learn(frame(500, 900, 8, b"renewed"), conversion=False, under=b"500")
    assert wants.newest == frame(500, 900, 8, b"renewed")


def test_what_answers_a_request_under_another_continuation_renews_nothing() -> None:
    wants = wanting(frame(0, 500, 4), frame(500, 900, 4))
    assert not wants.learn(frame(500, 900, 4, b"sibling"), conversion=False, under=b"0")
    assert wants.newest == frame(500, 900, 4)


def test_behind_a_continuation_with_more_one_request_asks_for_the_next() -> None:
    wants = wanting(frame(0, 250, 4, more=True))
    assert (wants.tail, wants.edge) == (None, 250)
    assert wants.select(9, ROOM, 10_000, 8) == (((0, 250),), b"0", 3, False)
    assert wants.any_below(10_000)
    asked = wants.select(9, ROOM, 10_000, 8)
    assert asked == (((250, 1150),), b"0", 9, True)
    assert not wants.any_below(10_000)
    assert wants.select(9, ROOM, 10_000, 8).wants == ()
    assert wants.learn(frame(250, 400, 4, more=True), conversion=True, under=b"0")
    assert wants.select(9, ROOM, 10_000, 8) == ((), b"", 0, False)  # the request that asked is not over yet
    wants.extending = False
    assert wants.select(9, ROOM, 10_000, 8).extends


def test_of_two_answers_for_what_lies_behind_the_first_one_stands() -> None:
    wants = wanting(frame(0, 250, 4, more=True))
    assert wants.learn(frame(250, 400, 4, b"one", more=True), conversion=False, under=b"0")
    assert not wants.learn(frame(250, 900, 4, b"other", more=True), conversion=True, under=b"0")
    assert not wants.learn(frame(250, 900, 4, b"other", more=True), conversion=False, under=b"0")
    assert wants.newest == frame(250, 400, 4, b"one", more=True)


def test_what_came_from_a_request_that_was_given_up_is_not_asked_for() -> None:
    wants = wanting(frame(0, 250, 4, more=True))
    wants.select(9, ROOM, 250, 8)
    assert wants.learn(frame(250, 400, 4, more=True), conversion=True, under=b"0")
    wants.forget_below(400)
    assert wants.select(9, ROOM, 10_000, 8) == (((400, 1300),), b"250", 9, True)


def test_lost_bytes_below_go_before_what_lies_behind() -> None:
    wants = wanting(frame(0, 250, 4, more=True))
    wants.select(9, ROOM, 10_000, 8)
    wants.lost([(100, 150)])
    assert wants.select(9, ROOM, 10_000, 8) == (((100, 150),), b"0", 1, False)
    assert wants.select(9, ROOM, 10_000, 8).extends


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["select", "lose", "arrive"]), st.integers(0, 600), st.integers(1, 80)), max_size=30
)


@given(ACTIONS)
def test_whatever_is_lost_every_byte_is_asked_for_until_it_arrives(actions: list[tuple[str, int, int]]) -> None:
    wants, flying, below = wanting(frame(0, 600, 4)), set[int](), 0
    for action, at, size in actions:
        if action == "select":
            for start, stop in wants.select(size % 7, ROOM, 600, 5).wants:
                assert not flying & set(range(start, stop))
                flying |= set(range(start, stop))
        elif action == "lose":
            gone = sorted(flying & set(range(at, at + size)))
            flying -= set(gone)
            wants.lost([(offset, offset + 1) for offset in gone])
        else:
            edge = min(at, *(set(range(601)) - flying - set(range(below))))
            below = max(below, edge)
            wants.forget_below(below)
            flying -= set(range(below))
    while chosen := wants.select(50, ROOM, 600, 50).wants:
        for start, stop in chosen:
            flying |= set(range(start, stop))
    assert flying | set(range(below)) == set(range(600))
