"""Trickles as a measured stream: a replica that sends a mapped file, and the native client."""

import asyncio

from benchmarks.peers.contract import Arguments, Fetch, mapped, parse_arguments, serve_until_told
from trickles.client import ClientConfig
from trickles.drivers.memory import keep_freed_memory
from trickles.drivers.replica import AsyncReplica
from trickles.drivers.stream import connect
from trickles.drivers.udp import BatchSocket
from trickles.drivers.world import NoncePool
from trickles.handshake import certify, identity_public
from trickles.keyring import Epoch, Keyring
from trickles.listener import Listener
from trickles.service import Buffer, Continuation, Event, Reply
from trickles.wire.kinds import Suite

IDENTITY = b"benchmark".ljust(32, b".")  # both ends know it: a benchmark has nothing to hide
REQUEST = b"send\n"
READ_BYTES = 1 << 20


class OneFile:
    """A service whose output is one file, whatever the request."""

    def __init__(self, content: Buffer) -> None:
        self._content = memoryview(content)

    def handle(self, event: Event) -> Reply:
        size = len(self._content)
        known = event.continuation
        if known is None and event.input != REQUEST:
            return Reply()
        chunks = tuple((start, self._content[start : min(stop, size)]) for start, stop in event.wants)
        fresh = Continuation(b"", 0, size, len(REQUEST)) if known is None else None
        return Reply(chunks, fresh, size)


async def serve(arguments: Arguments) -> None:
    """Send the file to everyone who asks."""
    ring = Keyring((certify(Epoch(1, b"epoch".ljust(32, b".")), IDENTITY, life=1 << 62),))
    listener = Listener(ring, OneFile(mapped(arguments.file)), entropy=NoncePool())
    socket = BatchSocket.bind(*arguments.address)
    replica = AsyncReplica(listener, socket)
    await serve_until_told(socket.address[1])
    replica.close()
    socket.close()


async def fetch(arguments: Arguments) -> None:
    """Read one connection to its end."""
    suite = Suite[arguments.options[arguments.options.index("--suite") + 1].upper()]
    fetched = Fetch(arguments.size_bytes)
    stream = await connect([arguments.address], config=ClientConfig(identity=identity_public(IDENTITY), suite=suite))
    stream.write(REQUEST)
    while data := await stream.read(READ_BYTES):
        fetched.write(data)
    fetched.finish()
    stream.close()


def main() -> None:
    keep_freed_memory()
    arguments = parse_arguments()
    asyncio.run(serve(arguments) if arguments.role == "server" else fetch(arguments))


if __name__ == "__main__":
    main()
