"""A list of replicas kept current: a source that fails keeps its last answer, and recovers by itself."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence

from trickles.drivers.discovery.sources import AddressSource
from trickles.drivers.world import fresh_secret
from trickles.errors import DiscoveryError
from trickles.wire.kinds import Address

RETRY_SECONDS = 10.0  # after a failure, even of a source that is asked once
MOST_REPLICAS = 256  # of one fleet that this process uses, chosen at random


class Discovery:
    """The replicas of all sources, each once; problems and their ends are reported once."""

    def __init__(
        self,
        sources: Sequence[AddressSource],
        *,
        report: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        seed: bytes = b"",
    ) -> None:
        """Choose replicas of a long list by `seed`; without one at random."""
        self._sources = sources
        self._report = report
        self._clock = clock
        self._found: list[list[Address]] = [[] for _ in sources]
        self._problems: list[str | None] = [None for _ in sources]
        self._due = [0.0 for _ in sources]
        self._hurry = asyncio.Event()
        self._seed = seed or fresh_secret(16)
        self._whole: list[Address] = []
        self._used: list[Address] = []

    async def refresh(self) -> list[Address]:
        """Ask the due sources and return all replicas; DiscoveryError while no source has ever named one."""
        news = [
            await self._ask(index, source)
            for index, source in enumerate(self._sources)
            if self._due[index] <= self._clock()
        ]
        together = list(dict.fromkeys(replica for found in self._found for replica in found))
        if not together:
            raise DiscoveryError("; ".join(filter(None, self._problems)))
        for text in filter(None, news):
            self._report(text)
        if together != self._whole:
            self._whole, self._used = together, _sample(together, self._seed)
        return self._used

    async def keep(self, use: Callable[[list[Address]], None]) -> None:
        """Call `use` with the replicas whenever sources were asked; this never returns."""
        while True:
            wait = max(min(self._due) - self._clock(), 0.0)
            try:
                async with asyncio.timeout(None if wait == float("inf") else wait):
                    await self._hurry.wait()
            except TimeoutError:
                pass
            else:
                self._hurry.clear()
                self._due = [0.0 for _ in self._sources]
            use(await self.refresh())

    def hurry(self) -> None:
        self._hurry.set()

    async def _ask(self, index: int, source: AddressSource) -> str | None:
        """Ask one source; return a new report, or None."""
        old = self._problems[index]
        try:
            self._found[index] = await source.find()
        except DiscoveryError as error:
            fresh = self._problems[index] = str(error)
            self._due[index] = self._clock() + min(source.every, RETRY_SECONDS)
            kept = " (the replicas known before stay in use)" if self._found[index] else ""
            return None if fresh == old else fresh + kept
        self._problems[index] = None
        self._due[index] = self._clock() + source.every
        return None if old is None else f"replicas are found again: {len(self._found[index])}"


def _sample(replicas: list[Address], seed: bytes) -> list[Address]:
    """Return at most MOST_REPLICAS, in their order; those with the lowest hashes, so few change when the list does."""
    if len(replicas) <= MOST_REPLICAS:
        return replicas
    ranked = sorted(replicas, key=lambda each: hashlib.sha256(seed + repr(each).encode()).digest())
    chosen = frozenset(ranked[:MOST_REPLICAS])
    return [each for each in replicas if each in chosen]
