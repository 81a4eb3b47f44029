"""Ranges against a stupid model: sets of byte offsets."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickleweb.files.ranges import MAX_SPECS, Interval, parse_range, select

SIZE = st.integers(0, 40)
SPEC = st.one_of(
    st.builds(lambda first, more: f"{first}-{first + more}", st.integers(0, 50), st.integers(0, 20)),
    st.builds(lambda first: f"{first}-", st.integers(0, 50)),
    st.builds(lambda count: f"-{count}", st.integers(0, 50)),
)
SPECS = st.lists(SPEC, min_size=1, max_size=8)
GAP = st.sampled_from([",", ", ", " ,\t", ",,", ", ,"])


def model(spec: str, size_bytes: int) -> set[int]:
    """The offsets one member stands for, found by asking of each whether it does."""
    first, last = spec.split("-")
    if not first:
        return {offset for offset in range(size_bytes) if offset >= size_bytes - int(last)}
    return {offset for offset in range(size_bytes) if int(first) <= offset <= (int(last) if last else offset)}


def offsets(intervals: tuple[Interval, ...]) -> list[int]:
    return [offset for start, stop in intervals for offset in range(start, stop)]


@pytest.mark.slow
@given(SPECS, GAP, SIZE)
def test_exactly_the_bytes_asked_for_and_none_twice(specs: list[str], gap: str, size_bytes: int) -> None:
    wanted = set().union(*(model(spec, size_bytes) for spec in specs))
    intervals = select("bytes=" + gap.join(specs), size_bytes, max_parts=100)
    if intervals is None:  # the first or the last bytes of nothing: the whole is sent
        assert size_bytes == 0
        assert any((spec.startswith("-") and spec != "-0") or spec.startswith("0-") for spec in specs)
    else:
        assert sorted(offsets(intervals)) == sorted(wanted)
        assert all(0 <= start < stop <= size_bytes for start, stop in intervals)


@pytest.mark.slow
@given(SPECS, SIZE)
def test_the_order_asked_for_is_kept(specs: list[str], size_bytes: int) -> None:
    """RFC 9110 15.3.7.2: each part stands where the first of what was merged into it was asked for."""
    asked = [found for spec in specs if (found := model(spec, size_bytes))]
    intervals = select("bytes=" + ",".join(specs), size_bytes, max_parts=100)
    if intervals is not None:
        first = [min(at for at, found in enumerate(asked) if found <= set(range(*each))) for each in intervals]
        assert first == sorted(first)


@given(SPECS, SIZE)
def test_no_two_parts_touch(specs: list[str], size_bytes: int) -> None:
    intervals = sorted(select("bytes=" + ",".join(specs), size_bytes, max_parts=100) or ())
    assert all(left[1] < right[0] for left, right in pairwise(intervals))


@given(SPECS, SIZE, st.integers(1, 4))
def test_too_many_parts_are_the_whole(specs: list[str], size_bytes: int, max_parts: int) -> None:
    free = select("bytes=" + ",".join(specs), size_bytes, max_parts=100)
    capped = select("bytes=" + ",".join(specs), size_bytes, max_parts=max_parts)
    assert capped == (None if free is None or len(free) > max_parts else free)


@given(st.text(alphabet="bytes=0123456789-, \t;x", max_size=40), SIZE)
def test_any_text_is_read_or_ignored(value: str, size_bytes: int) -> None:
    intervals = select(value, size_bytes, max_parts=100)
    assert intervals is None or all(0 <= start < stop <= size_bytes for start, stop in intervals)


@given(st.integers(MAX_SPECS + 1, 20_000))
def test_an_endless_list_is_not_read(count: int) -> None:
    assert parse_range("bytes=" + ",".join(["0-0"] * count)) is None


@given(st.integers(10**18, 10**400))
def test_numbers_beyond_any_file_are_its_end(number: int) -> None:
    assert select(f"bytes=3-{number}", 10, max_parts=1) == ((3, 10),)
    assert select(f"bytes=-{number}", 10, max_parts=1) == ((0, 10),)
    assert select(f"bytes={number}-", 10, max_parts=1) == ()
