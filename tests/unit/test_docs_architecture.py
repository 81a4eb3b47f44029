"""The architecture page: every file that it names exists, and its four trips are the ways that the code goes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
TRIP = re.compile(r"^### (.+?)\n\n(\d+) rooms, (\d+) calls between rooms\.(.+?)(?=^##)", re.DOTALL | re.MULTILINE)
QUESTIONS = (
    "a new congestion law",
    "a new store for the ledger",
    "why a stalled download stalls",
    "a new header rule for files",
    "a new gateway mode",
    "where a 413 comes from",
)


def test_every_file_that_is_named_exists() -> None:
    named = set(re.findall(r"`((?:trickles|trickleweb|tests)/[\w/]+\.py)`", PAGE))
    assert len(named) > 80
    assert [each for each in sorted(named) if not (ROOT / each).is_file()] == []
    folders = set(re.findall(r"`([a-z0-9]+/)`", PAGE))
    assert len(folders) > 15
    assert [each for each in sorted(folders) if not any((ROOT / root / each).is_dir() for root in _ROOTS)] == []


_ROOTS = ("", "trickles", "trickleweb")


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_page_says_which_file_to_open_first(question: str) -> None:
    row = re.search(rf"^\| {re.escape(question)} \| `([\w/.]+)`", PAGE, re.MULTILINE)
    assert row is not None
    assert (ROOT / row[1]).is_file()


@pytest.mark.slow
def test_the_trips_are_walked_as_they_are_written() -> None:
    written = {
        name: (re.findall(r"^\d+\. `([\w/.]+)` \S", text, re.MULTILINE), int(rooms), int(calls))
        for name, rooms, calls, text in TRIP.findall(PAGE)
    }
    words = [sys.executable, "-m", "tests.support.trips"]
    walked = json.loads(subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    assert written.keys() == walked.keys()
    for name, (rooms, stays) in walked.items():
        listed, count, calls = written[name]
        assert not set(listed) ^ set(rooms), f"{name}: entered or listed, but not both"
        assert (listed, count) == (rooms, len(rooms)), name
        assert abs(calls - stays + 1) <= calls // 10, f"{name}: {stays - 1} calls between rooms, the page says {calls}"
