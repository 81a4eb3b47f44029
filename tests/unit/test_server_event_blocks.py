"""Event streams of programs, cut into blocks, and positions found in another run of the program."""

import pytest

from trickleweb.server.errors import BadToken
from trickleweb.server.event_blocks import MAX_BLOCK_BYTES, Block, BlockTooLarge, EventBlocks, Locator, Track
from trickleweb.server.tokens.positions import MAX_POSITION_BYTES, EventPosition, unpack_position


def cut(*pieces: bytes) -> list[Block]:
    blocks = EventBlocks()
    return [each for piece in pieces for each in blocks.cut(piece)] + list(blocks.rest())


STREAM = (
    b"id: 1\ndata: a\n\n: ping\n\ndata: b\r\n\r\n:x\r\n\r\n\n\nretry: 5\n\n"
    b": c\nid: 9\ndata: d\n: e\n\ndata: r\rdata: s\r\rdata: cut"
)
BLOCKS = [
    Block(b"id: 1\ndata: a\n\n"),
    Block(b": ping\n\n", comment=True),
    Block(b"data: b\r\n\r\n"),
    Block(b":x\n\n", comment=True),
    Block(b"retry: 5\n\n"),
    Block(b"id: 9\ndata: d\n\n"),
    Block(b"data: r\rdata: s\r\r"),
    Block(b"data: cut"),
]


def test_a_stream_is_cut_at_blank_lines() -> None:
    assert cut(STREAM) == BLOCKS
    for size in (1, 2, 3, 7):
        assert cut(*(STREAM[at : at + size] for at in range(0, len(STREAM), size))) == BLOCKS


def test_an_endless_event_is_refused() -> None:
    blocks = EventBlocks()
    list(blocks.cut(bytes(MAX_BLOCK_BYTES)))
    with pytest.raises(BlockTooLarge):
        list(blocks.cut(b"x"))


def test_a_long_comment_is_cut() -> None:
    ((data, comment),) = cut(b": " + b"x" * 1000 + b"\n\n")
    assert comment
    assert len(data) == 64


@pytest.mark.parametrize(
    ("data", "known"),
    [
        (b"id: 7\n\n", b"7"),
        (b"data: id: 8\nid:9\n\n", b"9"),
        (b"id: 1\r\nid: 2\r\n\r\n", b"2"),
        (b"data: x\n\n", b""),
        (b"id\n\n", b""),
        (b"id: " + b"x" * 65 + b"\n\n", b""),
        (b"id: \0\n\n", b""),
    ],
)
def test_the_id_of_an_event_is_its_last_one(data: bytes, known: bytes) -> None:
    assert Block(data).id == known


def test_a_position_is_packed_and_unpacked() -> None:
    for position in (EventPosition(), EventPosition(b"x" * 64, 1 << 31, b"c" * 16, b"y" * 64)):
        packed = position.pack()
        assert unpack_position(packed + b"rest") == (position, b"rest")
        assert len(packed) <= MAX_POSITION_BYTES
        for size in range(len(packed)):
            with pytest.raises(BadToken):
                unpack_position(packed[:size])


def run(*names: str) -> list[Block]:
    """Return events: a digit is an id too, a letter none."""
    return [
        Block((f"id: {name}\n" if name.isdigit() else "").encode() + f"data: {name}\n\n".encode()) for name in names
    ]


def track(events: list[Block]) -> Track:
    found = Track()
    for each in events:
        found = found.stepped(each)
    return found


def taken(position: EventPosition, events: list[Block]) -> list[bytes]:
    locator = Locator(position)
    return [each.data for each in events if locator.take(each)]


@pytest.mark.parametrize("seen", ["1", "12", "12a", "12ab", "a", "ab", "1a2b3"])
def test_a_position_is_found_in_a_run_from_the_beginning(seen: str) -> None:
    events = run(*seen, *"xy4z")
    rest = [each.data for each in events[len(seen) :]]
    assert taken(track(events[: len(seen)]).proven, events) == rest
    locator = Locator(track(events[: len(seen)]).after)
    if locator.found:  # an event with an id was the last one: its range's digest decides
        assert not locator.differs()
    assert [each.data for each in events if locator.take(each)] == rest


@pytest.mark.parametrize(("seen", "known"), [("1", 1), ("12", 2), ("12a", 2), ("12ab", 2)])
def test_a_position_is_found_in_a_run_after_the_last_id(seen: str, known: int) -> None:
    events = run(*seen, *"xy4z")
    assert taken(track(events[: len(seen)]).after, events[known:]) == [each.data for each in events[len(seen) :]]


def test_other_events_are_never_taken_for_those_of_the_client() -> None:
    position = track(run(*"ab")).after
    locator = Locator(position)
    assert [locator.take(each) for each in run(*"acbx")] == [False] * 4
    assert locator.hopeless
    with_ids = Locator(track(run(*"1ab")).after)
    assert [with_ids.take(each) for each in run(*"xyz")] == [False] * 3
    assert not with_ids.hopeless  # the id may still come
    assert [with_ids.take(each) for each in run(*"1abc")] == [False, False, False, True]
