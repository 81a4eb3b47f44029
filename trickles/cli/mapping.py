"""The map of hosts of a running gateway: read at the start, and again when one of its files changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from trickles.cli.fleet_options import FleetMaker
from trickles.cli.mode_options import mapped
from trickles.drivers.dialer import Dialer
from trickles.drivers.discovery import Discovery
from trickles.drivers.keystore.files import signature
from trickles.errors import TricklesError
from trickles.gateway.process import Background
from trickles.gateway.routing import ANY, FleetSpec, Pattern, RouteTable, UpstreamRouter

LOOK_EVERY = 1.0  # seconds


class HostMap:
    """Keeps a router's routes equal to the map; an unusable map changes nothing, and is reported."""

    def __init__(
        self,
        router: UpstreamRouter,
        maker: FleetMaker,
        entries: Sequence[str],
        files: Sequence[Path],
        *,
        report: Callable[[str], None],
        everywhere: Dialer | None = None,
    ) -> None:
        self._router = router
        self._maker = maker
        self._entries = entries
        self._files = files
        self._report = report
        self._rest: dict[Pattern, Dialer] = {(ANY, None): everywhere} if everywhere is not None else {}
        self._seen: list[object] = []
        self._dialers: dict[FleetSpec, Dialer] = {}
        self.size = 0

    def load(self) -> None:
        """Read the map and make missing dialers; TricklesError and OSError pass."""
        self._seen = list(map(signature, self._files))
        found = mapped(self._entries, self._files)
        self._use(found, self._maker.dialers(found, self._dialers))

    def background(self, replicas: Discovery | None, dialer: Dialer | None) -> list[Background]:
        """Return the work that keeps the map, and the replicas of the one fleet if there is one."""
        work: list[Background] = [("host map", self.keep)]
        if replicas is not None and dialer is not None:
            work.append(("discovery", partial(replicas.keep, dialer.replace)))
        return work

    async def keep(self) -> None:
        """Read the map again whenever a file changes; names are resolved in a thread."""
        loop = asyncio.get_running_loop()
        while self._files:
            await asyncio.sleep(LOOK_EVERY)
            seen = list(map(signature, self._files))
            if seen == self._seen:
                continue
            self._seen = seen
            try:
                found, dialers = await loop.run_in_executor(None, self._fresh)
            except (TricklesError, OSError) as error:
                self._report(f"the map is unchanged: {error}")
            else:
                self._use(found, dialers)

    def _fresh(self) -> tuple[dict[Pattern, FleetSpec], dict[FleetSpec, Dialer]]:
        found = mapped(self._entries, self._files)
        return found, self._maker.dialers(found, self._dialers)

    def _use(self, found: dict[Pattern, FleetSpec], dialers: dict[FleetSpec, Dialer]) -> None:
        old, self._dialers = self._dialers, dialers
        self._router.routes = RouteTable({**self._rest, **{pattern: dialers[spec] for pattern, spec in found.items()}})
        self.size = len(found)
        for spec, dialer in old.items():
            if spec not in dialers:
                dialer.close()

    def close(self) -> None:
        for dialer in self._dialers.values():
            dialer.close()
