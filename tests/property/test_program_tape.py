"""The tape of a body against plain bytes, and states against what they were made of."""

from contextlib import suppress
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickleweb.origin.program import tape as tape_module
from trickleweb.origin.program.bounds import MOST_TOLD_BYTES
from trickleweb.origin.program.moment import Moment, unpack_moment
from trickleweb.origin.program.retelling import retold, told
from trickleweb.origin.program.stretch import Again, Cursor, Framing, Stretch, decode
from trickleweb.origin.program.tape import DIGEST_BYTES, Tape, TapeCut
from trickleweb.origin.response import NotThisResponse

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
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tape_module, "_BLOCK_BYTES", 16)
        tape, model = Tape(origin), bytearray()
        for _, argument in operations:
            if isinstance(argument, bytes):
                tape.append(argument)
                model += argument
            elif argument is None:
                tape.clear()
                assert tape.kept_bytes == 0
            else:
                tape.drop_below(origin + argument)
                assert tape.start <= max(origin + argument, origin) or argument == 0 or tape.kept_bytes == 0
    assert tape.stop == origin + len(model)
    start, stop = sorted((min(first, len(model)), min(second, len(model))))
    check(tape, bytes(model), origin, start, stop)
    check(tape, bytes(model), origin, 0, stop)


def check(tape: Tape, model: bytes, origin: int, start: int, stop: int) -> None:
    """Both say the same of [start, stop), or the tape says that it is cut, which it is."""
    if origin + start >= tape.start:
        assert b"".join(map(bytes, tape.parts(origin + start, origin + stop))) == model[start:stop]
    else:
        with pytest.raises(TapeCut):
            tape.parts(origin + start, origin + stop)
    try:
        digest = tape.digest(origin + start, origin + stop)
    except TapeCut:
        assert origin + start < tape.start
        assert start > 0 or origin + stop < tape.start
    else:
        assert digest == sha256(model[start:stop]).digest()[:DIGEST_BYTES]


MOMENTS = st.builds(Moment, st.integers(0, 1 << 63), st.integers(0, 1 << 62), st.binary(min_size=16, max_size=16))
FRAMINGS = st.builds(
    Framing,
    st.integers(0, 31),
    st.integers(0, 1 << 63),
    st.integers(0, 65_535),
    st.integers(0, (1 << 32) - 1),
    st.integers(0, (1 << 32) - 1),
)
WAYS = st.one_of(
    st.builds(Again, MOMENTS, st.binary(max_size=600)), st.builds(Cursor, st.binary(max_size=300), st.binary())
)
STRETCHES = st.builds(
    Stretch, FRAMINGS, st.integers(0, 1 << 62), st.binary(min_size=16, max_size=16), WAYS, st.booleans()
)


@given(STRETCHES)
def test_a_stretch_comes_back_from_its_state(stretch: Stretch) -> None:
    assert decode(stretch.encode()) == stretch


@given(st.binary(max_size=200))
def test_any_bytes_are_a_stretch_or_none(state: bytes) -> None:
    with suppress(NotThisResponse):
        assert decode(state).encode()[2:44] == state[2:44]


@given(STRETCHES, st.data())
def test_a_state_that_is_cut_or_changed_is_another_or_none(stretch: Stretch, data: st.DataObject) -> None:
    state = stretch.encode()
    at = data.draw(st.integers(0, len(state) - 1))
    for changed in (state[:at], bytes((*state[:at], state[at] ^ data.draw(st.integers(1, 255)), *state[at + 1 :]))):
        try:
            assert decode(changed) != stretch
        except NotThisResponse:
            continue


@given(MOMENTS, st.binary(max_size=50))
def test_a_moment_comes_back(moment: Moment, rest: bytes) -> None:
    packed = moment.pack()
    assert unpack_moment(packed + rest) == (moment, rest)
    for cut in range(len(packed)):
        with pytest.raises(NotThisResponse):
            unpack_moment(packed[:cut])


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
    state = told(request)
    if state is not None:
        assert len(state) <= MOST_TOLD_BYTES
        assert retold(state) == request
