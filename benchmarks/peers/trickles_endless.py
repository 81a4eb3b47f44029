"""What attacks and floods are aimed at: a replica of an output without end, and an honest client that reads from it.

server                                 prints {"ready": true, "port": N}, serves until SIGTERM
client --connect PORT --seconds S      reads for so long, prints {"bytes": N, "seconds": S}
"""

import argparse
import asyncio
import time

from benchmarks.peers.contract import serve_until_told, tell
from benchmarks.peers.trickles_stream import IDENTITY, REQUEST
from benchmarks.simulated import Endless
from benchmarks.support.net import LOOPBACK
from trickles.client import ClientConfig
from trickles.drivers.memory import keep_freed_memory
from trickles.drivers.replica import AsyncReplica
from trickles.drivers.stream import connect
from trickles.drivers.udp import BatchSocket
from trickles.drivers.world import NoncePool
from trickles.handshake import certify, identity_public
from trickles.keyring import Epoch, Keyring
from trickles.listener import Listener
from trickles.spool import MemorySpool

KEYRING = Keyring((certify(Epoch(1, b"endless".ljust(32, b".")), IDENTITY, life=1 << 62),))
READ_BYTES = 1 << 20
WARM_UP_SECONDS = 0.3


async def serve() -> None:
    """Answer everybody."""
    listener = Listener(KEYRING, Endless(), entropy=NoncePool(), spool=MemorySpool(1 << 20))
    socket = BatchSocket.bind(LOOPBACK, 0)
    replica = AsyncReplica(listener, socket)
    await serve_until_told(socket.address[1])
    replica.close()
    socket.close()


async def read(port: int, seconds: float) -> None:
    """Count what comes in that time, after a little of it to get going."""
    stream = await connect([(LOOPBACK, port)], config=ClientConfig(identity=identity_public(IDENTITY)))
    stream.write(REQUEST)
    began, count = time.monotonic(), 0
    while time.monotonic() < began + WARM_UP_SECONDS:
        await stream.read(READ_BYTES)
    began = now = time.monotonic()
    while now < began + seconds:
        count += len(await stream.read(READ_BYTES))
        now = time.monotonic()
    tell({"bytes": count, "seconds": now - began})
    stream.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("role", choices=("server", "client"))
    options.add_argument("--connect", type=int, default=0, help="port on loopback")
    options.add_argument("--seconds", type=float, default=1.0)
    arguments = options.parse_args()
    keep_freed_memory()
    asyncio.run(serve() if arguments.role == "server" else read(arguments.connect, arguments.seconds))


if __name__ == "__main__":
    main()
