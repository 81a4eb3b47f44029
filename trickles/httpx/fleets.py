"""Fleets by host, and the connections to them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace

from trickles.client import ClientConfig, Policy
from trickles.drivers.addresses import shown
from trickles.drivers.dialer import Dialer, parse_address
from trickles.drivers.keystore import read_server_key
from trickles.drivers.known_hosts import KnownHosts
from trickles.drivers.stream import Stream, connect
from trickles.limits import DEFAULT_LIMITS, SECOND
from trickles.wire.kinds import Address


@dataclass(frozen=True, slots=True)
class Fleet:
    """Replicas of one fleet (`HOST:PORT` each), and its identity.

    `server_key` is the fleet's public identity, the path of its `server.pub` or the text in it. Without it the identity
    is trusted on first use, and remembered as by `trickles gateway`. `policy` is `home`, `spray`, `stripe`
    or `lowest-rtt`. Once all replicas have been silent for `give_up_seconds` a request fails. Names are resolved once.
    """

    replicas: Sequence[str]
    _: KW_ONLY
    server_key: str | os.PathLike[str] | None = None
    policy: str = "home"
    give_up_seconds: float = DEFAULT_LIMITS.give_up_after / SECOND


class Line:
    """Connections to one fleet from the running loop; later ones use what earlier ones learned.

    ValueError for invalid replicas or options, KeyringError or IdentityError for an unusable key.
    """

    def __init__(self, fleet: Fleet) -> None:
        if isinstance(fleet.replicas, str) or not fleet.replicas:
            raise ValueError("a fleet is a list of replicas, HOST:PORT each")
        if not fleet.give_up_seconds > 0:
            raise ValueError("give_up_seconds is more than 0")
        self._replicas = [parse_address(text) for text in fleet.replicas]
        self._config = _config(fleet, self._replicas)
        self._dialer: Dialer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def connect(self) -> Stream:
        """Return a connection that a replica has answered; OSError and ConnectionFailed when there is none."""
        stream = await connect((), dialer=await self._ready())
        try:
            await stream.handshake()
        except BaseException:
            stream.close()
            raise
        return stream

    async def _ready(self) -> Dialer:
        loop = asyncio.get_running_loop()
        if self._dialer is None or self._loop is not loop:  # a dialer stays with its loop
            dialer = await loop.run_in_executor(None, Dialer, self._replicas, self._config)  # it may resolve names
            if self._dialer is None or self._loop is not loop:  # else another task was faster
                self._dialer, self._loop = dialer, loop
        return self._dialer


class Fleets:
    """One fleet for all hosts, or a map from `HOST` or `HOST:PORT`, as URLs have them, to fleets."""

    def __init__(self, fleets: Fleet | Mapping[str, Fleet]) -> None:
        self._any = Line(fleets) if isinstance(fleets, Fleet) else None
        named = {} if isinstance(fleets, Fleet) else fleets
        self._lines = {name.lower(): Line(fleet) for name, fleet in named.items()}

    def find(self, host: str, port: int) -> Line | None:
        """Return the fleet of a URL's host and port, or None."""
        names = shown((host.lower(), port)), host.lower()
        return next((self._lines[name] for name in names if name in self._lines), self._any)


def _config(fleet: Fleet, replicas: list[Address]) -> ClientConfig:
    config = ClientConfig(
        policy=Policy(fleet.policy),
        limits=replace(DEFAULT_LIMITS, give_up_after=round(fleet.give_up_seconds * SECOND)),
    )
    if fleet.server_key is not None:
        return replace(config, identity=read_server_key(fleet.server_key))
    return replace(config, **KnownHosts().rules(",".join(sorted(map(shown, replicas)))))
