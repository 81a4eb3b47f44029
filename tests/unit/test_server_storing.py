"""The pace at which responses are stored, and the tokens and blocks of what is stored."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.programs import Fleet, begun, settled, with_fleet
from tests.support.taps import LARGE, POST, Tap, always_returning
from trickleweb import App
from trickleweb.response_store import Growth
from trickleweb.server.stored import BLOCK_BYTES, Blocks
from trickleweb.server.storing import AHEAD_BYTES, PIECE_BYTES
from trickleweb.server.tokens import decode_untrusted, encode
from trickleweb.server.tokens.stored import StoredToken
from trickleweb.stores.memory_responses import _Writer


def test_the_first_pieces_of_a_large_message_are_sent_before_the_last_are_stored() -> None:
    stored: list[int] = []
    gate = asyncio.Event()

    async def test(fleet: Fleet) -> None:
        app = always_returning(LARGE)
        fleet.make = lambda: app
        origin = fleet.replica()
        response, _ = await begun(origin, POST, budget=1000)
        assert len(response) == 1000
        assert stored[0] <= PIECE_BYTES
        assert len(stored) == 1
        gate.set()
        while sum(stored) < len(LARGE):
            await settled()
        assert max(stored) <= PIECE_BYTES

    append = _Writer.append

    async def slowly(self: _Writer, data: bytes, *, last: bool) -> None:
        if stored:
            await gate.wait()
        stored.append(len(data))
        await append(self, data, last=last)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Writer, "append", slowly)
        with_fleet(App, test)


def test_a_program_ends_whatever_its_client_reads_and_small_pieces_are_joined() -> None:
    async def test(fleet: Fleet) -> None:
        tap = Tap()
        fleet.make = lambda: tap.app
        tap.give(*(300 * [bytes(10_000)]), None)
        await begun(fleet.replica(), POST, budget=100)
        (stored,) = fleet.responses.stored.values()
        while stored.growth is Growth.OPEN:
            await settled()
        assert (tap.passed, stored.growth) == (300, Growth.COMPLETE)
        assert len(stored.body) > 3_000_000

    with_fleet(App, test)


@pytest.mark.parametrize(
    ("byte_count", "appended"),
    [(None, [(b"6\r\nonetwo\r\n", False), (b"0\r\n\r\n", True)]), (6, [(b"onetwo", True)])],
)
def test_the_last_bytes_and_the_end_are_one_step(
    byte_count: int | None, appended: list[tuple[bytes, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A response of known length is complete with its last byte, although its program is still at work."""
    seen: list[tuple[bytes, bool]] = []
    append = _Writer.append

    async def noted(self: _Writer, data: bytes, *, last: bool) -> None:
        seen.append((bytes(data), last))
        await append(self, data, last=last)

    async def test(fleet: Fleet) -> None:
        tap = Tap(byte_count)
        fleet.make = lambda: tap.app
        tap.give(b"onetwo")
        await begun(fleet.replica(), POST)
        await settled()
        (stored,) = fleet.responses.stored.values()
        assert (stored.growth is Growth.COMPLETE) == (byte_count is not None)
        assert not tap.closed
        tap.give(None)
        await settled()
        assert stored.growth is Growth.COMPLETE
        assert (seen, tap.closed, fleet.errors) == (appended, True, [])

    monkeypatch.setattr(_Writer, "append", noted)
    with_fleet(App, test)


def test_a_program_that_fails_after_all_announced_bytes_is_reported_and_cuts_nothing() -> None:
    async def test(fleet: Fleet) -> None:
        tap = Tap(byte_count=3)
        fleet.make = lambda: tap.app
        tap.give(b"one", ZeroDivisionError("oops"))
        await begun(fleet.replica(), POST)
        await settled()
        (stored,) = fleet.responses.stored.values()
        assert (stored.growth, bytes(stored.body)) == (Growth.COMPLETE, b"one")
        assert [str(each) for each in fleet.errors] == ["oops"]

    with_fleet(App, test)


def test_a_program_waits_for_a_store_that_is_slow() -> None:
    async def test(fleet: Fleet) -> None:
        tap, gate = Tap(), asyncio.Event()
        fleet.make = lambda: tap.app
        append = _Writer.append

        async def later(self: _Writer, data: bytes, *, last: bool) -> None:
            await gate.wait()
            await append(self, data, last=last)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_Writer, "append", later)
            tap.give(*(300 * [bytes(10_000)]), None)
            first = asyncio.ensure_future(begun(fleet.replica(), POST, budget=100))
            await settled(1000)
            assert AHEAD_BYTES <= 10_000 * tap.passed <= AHEAD_BYTES + PIECE_BYTES + 30_000
            gate.set()
            await first
            while not tap.closed:
                await settled()

    with_fleet(App, test)


@given(
    st.binary(min_size=16, max_size=32),
    st.integers(200, 599),
    st.integers(0, 65_535),
    st.booleans(),
    st.integers(0, 1 << 62),
)
def test_a_token_is_read_as_it_was_written(name: bytes, code: int, head_bytes: int, last: bool, at: int) -> None:
    token = StoredToken(name, code, head_bytes, last, at)
    assert decode_untrusted(encode(token)) == token


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 3 * BLOCK_BYTES), st.integers(1, BLOCK_BYTES)), max_size=8), st.data())
def test_blocks_give_the_bytes_that_were_added_or_say_what_to_read(
    adds: list[tuple[int, int]], data: st.DataObject
) -> None:
    whole = bytes(number % 251 for number in range(5 * BLOCK_BYTES))
    blocks = Blocks(2 * BLOCK_BYTES)
    for at, size in adds:
        blocks.add(b"a", at, whole[at : at + size])
    start = data.draw(st.integers(0, 4 * BLOCK_BYTES))
    stop = data.draw(st.integers(start, min(start + BLOCK_BYTES, len(whole))))
    for _ in range(3):
        found = blocks.parts(b"a", start, stop)
        if not isinstance(found, int):
            break
        assert found <= stop
        assert found % BLOCK_BYTES == 0
        blocks.add(b"a", found, whole[found : found + BLOCK_BYTES])
    assert not isinstance(found, int)
    assert b"".join(found) == whole[start:stop]
