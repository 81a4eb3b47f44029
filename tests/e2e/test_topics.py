"""Topics whose publisher is killed: every number it returned is there, and a repeated run publishes nothing twice."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT
from trickleweb.stores import SqliteTopics

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
KILLS, ENTRIES = 5, 400
PUBLISHER = f"""
import asyncio, sys
from trickleweb.stores import SqliteTopics
async def main():
    topics = SqliteTopics(sys.argv[1])
    for at in range({ENTRIES}):
        print(await topics.publish("t", b"%d" % at, f"entry {{at}}"), flush=True)
asyncio.run(main())
"""


def published(path: Path, lines: int | None) -> list[int]:
    """Run a publisher, killed after it printed so many numbers; return those."""
    words = [sys.executable, "-c", PUBLISHER, str(path)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as publisher:
        assert publisher.stdout is not None
        numbers = [int(line) for _, line in zip(range(lines or ENTRIES), publisher.stdout, strict=False)]
        publisher.kill()
    return numbers


def test_a_killed_publisher_loses_and_repeats_nothing(tmp_path: Path) -> None:
    path = tmp_path / "topics.sqlite"
    for kill in range(1, KILLS + 1):
        lines = kill * ENTRIES // (KILLS + 1)
        assert published(path, lines) == list(range(1, lines + 1))
    assert published(path, None) == list(range(1, ENTRIES + 1))

    async def read() -> list[tuple[int, bytes]]:
        topics = SqliteTopics(path)
        page = await topics.read("t", 0, ENTRIES + 1)
        await topics.close()
        return list(page.entries)

    assert asyncio.run(read()) == [(at + 1, b"%d" % at) for at in range(ENTRIES)]
