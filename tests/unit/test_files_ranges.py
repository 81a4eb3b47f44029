"""The Range field, case by case (RFC 9110 14.1.2)."""

import pytest

from trickleweb.files.ranges import Interval, select

SIZE = 1000


@pytest.mark.parametrize(
    ("value", "intervals"),
    [
        ("bytes=0-0", ((0, 1),)),
        ("bytes=0-", ((0, SIZE),)),
        ("bytes=0-499", ((0, 500),)),
        ("bytes=500-9999", ((500, SIZE),)),
        ("bytes=-1", ((999, SIZE),)),
        ("bytes=-5000", ((0, SIZE),)),
        ("BYTES=1-2", ((1, 3),)),
        ("bytes=007-008", ((7, 9),)),
        ("bytes= 1-2 , 5-6", ((1, 3), (5, 7))),
        ("bytes=1-2,,5-6,", ((1, 3), (5, 7))),
        ("bytes=5-6,1-2", ((5, 7), (1, 3))),
        ("bytes=0-4,5-9", ((0, 10),)),
        ("bytes=5-9,0-4", ((0, 10),)),
        ("bytes=10-14,0-4,5-9", ((0, 15),)),
        ("bytes=50-59,10-19,60-69,0-4", ((50, 70), (10, 20), (0, 5))),
        ("bytes=0-9,5-14", ((0, 15),)),
        ("bytes=20-29,0-4,25-34", ((20, 35), (0, 5))),
        ("bytes=0-0,0-0,0-0", ((0, 1),)),
        ("bytes=0-0,2000-3000", ((0, 1),)),
    ],
)
def test_what_is_selected(value: str, intervals: tuple[Interval, ...]) -> None:
    assert select(value, SIZE, max_parts=10) == intervals


@pytest.mark.parametrize("value", ["bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=5000-6000,-0"])
def test_what_cannot_be_satisfied(value: str) -> None:
    assert select(value, SIZE, max_parts=10) == ()


@pytest.mark.parametrize(
    "value",
    [
        "", "bytes", "bytes=", "bytes=,", "bytes=-", "bytes=a-b", "bytes=1", "bytes=2-1", "bytes=1-2-3", "bytes=+1-2",
        "bytes=1 -2", "bytes=1- 2", "bytes=0x1-2", "bytes=1.0-2", "bytes=--1", "bytes=1-2;3-4", "bytes =1-2",
        "bytes=1-2, x", "bytes=\u0661-\u0662", "bytes=\xb2-3", "bytes=1_0-20", "none", "lines=1-2", "bytes=0-0\x00",
    ],
)  # fmt: skip
def test_what_is_malformed_is_ignored(value: str) -> None:
    assert select(value, SIZE, max_parts=10) is None


def test_of_an_empty_file_its_beginning_and_its_end_are_the_whole() -> None:
    for value in ("bytes=-5", "bytes=0-", "bytes=0-0", "bytes=0-9,5-"):
        assert select(value, 0, max_parts=10) is None
    for value in ("bytes=1-", "bytes=-0", "bytes=1-2,-0"):
        assert select(value, 0, max_parts=10) == ()
