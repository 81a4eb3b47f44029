"""Sources of replicas' addresses; an error names the source."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

from trickles.drivers.dialer import parse_address
from trickles.drivers.discovery.dns import DnsServers
from trickles.drivers.discovery.resolving import addresses
from trickles.drivers.keystore.files import WORLD_UNALTERED, errors_as, read_file, signature
from trickles.errors import DiscoveryError
from trickles.wire.kinds import Address

NEVER = float("inf")
FILE_SECONDS = 1.0  # between looks at a file; one that has not changed costs a stat(2)
Resolve = Callable[[str, int], Awaitable[list[Address]]]


class AddressSource(Protocol):
    """A source of addresses."""

    @property
    def every(self) -> float: ...  # seconds after which there may be a new answer
    async def find(self) -> list[Address]: ...  # numeric addresses, at least one; DiscoveryError otherwise


class Listed:
    """Replicas listed once and for all; of a name all addresses count."""

    every = NEVER

    def __init__(self, replicas: Sequence[Address], *, resolve: Resolve = addresses) -> None:
        self._replicas = replicas
        self._resolve = resolve

    async def find(self) -> list[Address]:
        return [each for host, port in self._replicas for each in await self._resolve(host, port)]


class ReplicaFile:
    """A file of `HOST:PORT` lines; blank lines and those that begin with `#` are ignored.

    It may be replaced or rewritten at any time, by its owner and its group only.
    """

    every = FILE_SECONDS

    def __init__(self, path: Path, *, resolve: Resolve = addresses) -> None:
        self._path = path
        self._resolve = resolve
        self._seen: object = None
        self._found: list[Address] = []

    async def find(self) -> list[Address]:
        """Return the replicas in the file; one malformed line is an error of the whole file."""
        seen = signature(self._path)
        if seen != self._seen:
            self._found, self._seen = await self._read(), seen
        return self._found

    async def _read(self) -> list[Address]:
        with errors_as(DiscoveryError, self._path):
            text = read_file(self._path, WORLD_UNALTERED).decode("utf-8", "replace")
        found: list[Address] = []
        for number, line in enumerate(text.splitlines(), 1):
            place = line.strip()
            if place and not place.startswith("#"):
                found += await self._resolve(*self._place(number, place))
        if not found:
            raise DiscoveryError(f"{self._path} names no replica")
        return found

    def _place(self, number: int, place: str) -> Address:
        try:
            return parse_address(place)
        except ValueError as error:
            raise DiscoveryError(f"{self._path}, line {number}: {error}") from None


class AddressRecords:
    """All addresses of a name, with one port."""

    def __init__(self, name: str, port: int, *, every: float, resolve: Resolve = addresses) -> None:
        self.every = every
        self._place = name, port
        self._resolve = resolve

    async def find(self) -> list[Address]:
        return await self._resolve(*self._place)


class ServiceRecords:
    """The targets of a name's SRV records (RFC 2782) with the best priority, heavier ones first."""

    def __init__(self, name: str, servers: DnsServers, *, every: float, resolve: Resolve = addresses) -> None:
        self.every = every
        self._name = name
        self._servers = servers
        self._resolve = resolve

    async def find(self) -> list[Address]:
        answer = await self._servers.services(self._name)
        best = min((each.priority for each in answer.services), default=0)
        services = [each for each in answer.services if each.priority == best and each.target]
        found: list[Address] = []
        for each in sorted(services, key=lambda service: (-service.weight, service)):
            if hosts := answer.addresses.get(each.target):
                found += [(host, each.port) for host in hosts]
            else:
                found += await self._resolve(each.target, each.port)
        if not found:
            raise DiscoveryError(f"{self._name} has no SRV record that names a replica")
        return found
