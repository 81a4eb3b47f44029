"""A client for SRV records: over UDP, and over TCP when the answer does not fit."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path

from trickles.drivers.discovery.message import DnsAnswer, parse_untrusted, question
from trickles.drivers.discovery.resolving import is_numeric
from trickles.errors import BadPacket, DiscoveryError
from trickles.wire.kinds import Address

PORT = 53
MOST_SERVERS = 3  # as resolvers do (resolv.conf(5))
TRIES = 2  # of each server: a datagram may be lost
TRY_SECONDS = 2.0
MOST_STRAY = 64  # datagrams that answer other questions, before a try is given up
RESOLV_CONF = Path("/etc/resolv.conf")


def system_servers(path: Path = RESOLV_CONF) -> list[Address]:
    """Return the name servers of resolv.conf(5); that of the machine itself when there is none."""
    try:
        words = [line.split()[:2] for line in path.read_text("utf-8", "replace").splitlines()]
    except OSError:
        words = []
    named = [word[1] for word in words if len(word) == 2 and word[0] == "nameserver" and is_numeric(word[1])]
    return [(host, PORT) for host in named[:MOST_SERVERS]] or [("127.0.0.1", PORT)]


class DnsServers:
    """Name servers, asked in turn until one answers."""

    def __init__(self, servers: Sequence[Address], *, try_seconds: float = TRY_SECONDS) -> None:
        self._servers = servers
        self._try_seconds = try_seconds

    async def services(self, name: str) -> DnsAnswer:
        """Return the SRV records of that name; DiscoveryError when no server has an answer."""
        problem = "no name server answers"
        for server in [server for _ in range(TRIES) for server in self._servers]:
            number = secrets.randbelow(1 << 16)
            try:
                query = question(number, name)
                async with asyncio.timeout(self._try_seconds):
                    answer = await _by_udp(server, query, number, name)
                    if answer.truncated:
                        answer = await _by_tcp(server, query, number, name)
            except (OSError, TimeoutError, BadPacket, asyncio.IncompleteReadError):
                continue
            except ValueError as error:
                raise DiscoveryError(str(error)) from None
            if answer.problem is None:
                return answer
            problem = answer.problem
        raise DiscoveryError(f"{name}: {problem}")


async def _by_udp(server: Address, query: bytes, number: int, name: str) -> DnsAnswer:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET6 if ":" in server[0] else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect(server)  # so the kernel drops datagrams of others; and the port is hard to guess
        await loop.sock_sendall(sock, query)
        for _ in range(MOST_STRAY):
            try:
                return parse_untrusted(await loop.sock_recv(sock, 1 << 16), number, name)
            except BadPacket:  # forged, or late: the answer may still come
                continue
    raise BadPacket("nothing but strays")


async def _by_tcp(server: Address, query: bytes, number: int, name: str) -> DnsAnswer:
    reader, writer = await asyncio.open_connection(*server)
    try:
        writer.write(len(query).to_bytes(2, "big") + query)
        size = int.from_bytes(await reader.readexactly(2), "big")
        return parse_untrusted(await reader.readexactly(size), number, name)
    finally:
        writer.close()
