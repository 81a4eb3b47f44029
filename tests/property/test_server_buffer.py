"""The tape of a body against plain bytes, and states against what they were made of."""

from contextlib import suppress
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickleweb.server.buffer import BodyBuffer
from trickleweb.server.errors import Evicted, NotThisResponse
from trickleweb.server.limits import DEFAULT_SERVER_LIMITS
from trickleweb.server.tokens.ranges import DIGEST_BYTES, Cursor, Framing, Replay, VerifiedRange, unpack_range
from trickleweb.server.tokens.request import ReplayContext, packed, unpack_context, unpacked

OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.binary(max_size=40)),
        st.tuples(st.just("drop"), st.integers(0, 300)),
        st.tuples(st.just("clear"), st.none()),
    ),
    max_size=30,
)


@given(OPERATIONS, st.integers(0, 1000), st.integers(0, 300), st.integers(0, 300))
def test_a_tape_is_bytes_of_which_the_beginning_fades(
    operations: list[tuple[str, bytes | int | None]], origin: int, first: int, second: int
) -> None:
    tape, model = BodyBuffer(origin, block_bytes=16), bytearray()
    for _, argument in operations:
        if isinstance(argument, bytes):
            tape.append(argument)
            model += argument
        elif argument is None:
            tape.clear()
            assert tape.kept_bytes == 0
        else:
            before = tape.start
            tape.drop_below(origin + argument)
            assert before <= tape.start <= max(origin + argument, before)
    assert tape.stop == origin + len(model)
    start, stop = sorted((min(first, len(model)), min(second, len(model))))
    check(tape, bytes(model), origin, start, stop)
    check(tape, bytes(model), origin, 0, stop)


def check(tape: BodyBuffer, model: bytes, origin: int, start: int, stop: int) -> None:
    """Both say the same of [start, stop), or the tape says that it is cut, which it is."""
    if origin + start >= tape.start:
        assert b"".join(map(bytes, tape.parts(origin + start, origin + stop))) == model[start:stop]
    else:
        with pytest.raises(Evicted):
            tape.parts(origin + start, origin + stop)
    try:
        digest = tape.digest(origin + start, origin + stop)
    except Evicted:
        assert origin + start < tape.start
        assert start > 0 or origin + stop < tape.start
    else:
        assert digest == sha256(model[start:stop]).digest()[:DIGEST_BYTES]


MOMENTS = st.builds(
    ReplayContext, st.integers(0, 1 << 63), st.integers(0, 1 << 62), st.binary(min_size=16, max_size=16)
)
FRAMINGS = st.builds(
    Framing,
    st.integers(0, 31),
    st.integers(0, 1 << 63),
    st.integers(0, 65_535),
    st.integers(0, (1 << 32) - 1),
    st.integers(0, (1 << 32) - 1),
)
WAYS = st.one_of(
    st.builds(Replay, MOMENTS, st.binary(max_size=600)), st.builds(Cursor, st.binary(max_size=300), st.binary())
)
STRETCHES = st.builds(
    VerifiedRange, FRAMINGS, st.integers(0, 1 << 62), st.binary(min_size=16, max_size=16), WAYS, st.booleans()
)


@given(STRETCHES)
def test_a_stretch_comes_back_from_its_state(stretch: VerifiedRange) -> None:
    assert unpack_range(stretch.pack()) == stretch


@given(st.binary(max_size=200))
def test_any_bytes_are_a_stretch_or_none(state: bytes) -> None:
    with suppress(NotThisResponse):
        assert unpack_range(state).pack()[2:44] == state[2:44]


@given(STRETCHES, st.data())
def test_a_state_that_is_cut_or_changed_is_another_or_none(stretch: VerifiedRange, data: st.DataObject) -> None:
    state = stretch.pack()
    at = data.draw(st.integers(0, len(state) - 1))
    for changed in (state[:at], bytes((*state[:at], state[at] ^ data.draw(st.integers(1, 255)), *state[at + 1 :]))):
        try:
            assert unpack_range(changed) != stretch
        except NotThisResponse:
            continue


@given(MOMENTS, st.binary(max_size=50))
def test_a_moment_comes_back(moment: ReplayContext, rest: bytes) -> None:
    state = moment.pack()
    assert unpack_context(state + rest) == (moment, rest)
    for cut in range(len(state)):
        with pytest.raises(NotThisResponse):
            unpack_context(state[:cut])


NAMES = st.sampled_from(
    ["Host", "Accept", "User-Agent", "Cookie", "X-Key", "Authorization", "sec-ch-ua", "TE", "Referer"]
)
LINES = st.lists(
    st.tuples(NAMES, st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)), max_size=12
)


@given(st.binary(max_size=30), LINES, st.binary(max_size=60), st.booleans())
def test_a_request_is_retold_as_it_was(target: bytes, lines: list[tuple[str, str]], body: bytes, empty: bool) -> None:
    fields = [f"{name}: {value}".encode() for name, value in lines]
    first = b"GET /" + target.replace(b"\r", b"").replace(b"\n", b"") + b" HTTP/1.1"
    request = b"\r\n" * empty + b"\r\n".join([first, *fields, b"", body])
    state = packed(request)
    if state is not None:
        assert len(state) <= DEFAULT_SERVER_LIMITS.packed_bytes
        assert unpacked(state) == request
