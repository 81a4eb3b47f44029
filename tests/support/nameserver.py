"""A name server for tests that answers SRV questions as it is told, by UDP and by TCP."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import cast

SRV, A, CNAME, IN = 33, 1, 5, 1
TRUNCATED = 0x8780
Record = tuple[str, int, bytes]


def name(text: str) -> bytes:
    """As it stands in a message, uncompressed."""
    labels = [label for label in text.split(".") if label]
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


def srv(owner: str, target: str, port: int, priority: int = 0, weight: int = 0) -> Record:
    """A service of that name."""
    return owner, SRV, struct.pack("!HHH", priority, weight, port) + name(target)


def address(owner: str, host: str) -> Record:
    """An address of that name."""
    packed = ip_address(host).packed
    return owner, A if len(packed) == 4 else 28, packed


def alias(owner: str, target: str) -> Record:
    """Another name for it."""
    return owner, CNAME, name(target)


def reply(query: bytes, records: list[Record], *, flags: int = 0x8580, additional: int = 0) -> bytes:
    """An answer to that query; the last `additional` records go to that section."""
    end = query.index(b"\0", 12) + 5
    counts = struct.pack("!HHHH", 1, len(records) - additional, 0, additional)
    answer = query[:2] + struct.pack("!H", flags) + counts + query[12:end]
    for owner, kind, data in records:
        answer += name(owner) + struct.pack("!HHIH", kind, IN, 60, len(data)) + data
    return answer


class NameServer(asyncio.DatagramProtocol):
    """Answers every question with its `records`, after some `strays`."""

    def __init__(self) -> None:
        self.asked = 0
        self.records: list[Record] = []
        self.flags = 0x8580
        self.strays: list[bytes] = []
        self.place = ("127.0.0.1", 0)
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is up."""
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.place = transport.get_extra_info("sockname")

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A question."""
        self.asked += 1
        assert self._transport is not None
        for stray in self.strays:
            self._transport.sendto(stray, addr)
        self._transport.sendto(reply(data, self.records, flags=self.flags), addr)

    async def by_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A question again, since its answer was too long."""
        query = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        answer = reply(query, self.records)
        writer.write(len(answer).to_bytes(2, "big") + answer)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def name_server() -> AsyncIterator[NameServer]:
    """One on the running loop, on the same port for UDP and TCP."""
    server, loop = NameServer(), asyncio.get_running_loop()
    tcp = await asyncio.start_server(server.by_tcp, "127.0.0.1", 0)
    port = tcp.sockets[0].getsockname()[1]
    transport, _ = await loop.create_datagram_endpoint(lambda: server, ("127.0.0.1", port))
    try:
        yield server
    finally:
        transport.close()
        tcp.close()
        await tcp.wait_closed()
