"""Starting a process: when descriptors run out, none is kept."""

import asyncio
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.loop import on_loop
from trickleweb.cli.launch import launched


def descriptors() -> int:
    """Return how many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("left", range(8))
def test_a_start_that_finds_no_descriptors_keeps_none(left: int) -> None:
    """Some are free, from none to enough."""

    async def test() -> int:
        before, held = descriptors(), list[int]()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (before + 50, hard))
        try:
            with suppress(OSError):
                while True:
                    held.append(os.open(os.devnull, os.O_RDONLY))
            for each in held[:left]:
                os.close(each)
            with suppress(OSError):
                process = await launched([sys.executable, "-c", "pass"])
                await process.wait()
                process.close()
        finally:
            for each in held[left:]:
                os.close(each)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await asyncio.sleep(0)  # transports close their files one turn later
        return descriptors() - before

    assert on_loop(test()) == 0
