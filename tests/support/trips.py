"""The four trips of docs/architecture.md, walked: one datagram, one byte, one request, one file.

`python -m tests.support.trips` prints the rooms of each, as JSON: in a process of its own, where no cache is
warm from another test.
"""

import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.fleetkeys import ring
from tests.support.gatewayhouse import house
from tests.support.loop import on_loop
from tests.support.origins import event, get, origin
from tests.support.peer import Peer
from tests.support.programs import Fleet as Programs
from tests.support.programs import asked, settled, with_fleet
from tests.support.site_folder import fill
from tests.support.toys import Tape
from tests.support.walk import Walk, walked
from trickles.drivers.replica import Replica
from trickles.drivers.udp import BatchSocket
from trickles.drivers.world import NoncePool, wall_us
from trickles.gateway.downstream import Downstream
from trickles.listener import Listener
from trickleweb.asgi import AsgiApplication
from trickleweb.asgi.messages import Receive, Scope, Send
from trickleweb.server.repeats import Repeats


def datagram_to_replies() -> Walk:
    """A request of a transfer that is under way arrives at a replica's socket, and the replies are sent."""
    peer, keys = Peer("walker"), ring()
    with BatchSocket.bind("127.0.0.1", 0) as sock, BatchSocket.bind("127.0.0.1", 0, offload=False) as client:
        replica = Replica(Listener(keys, Tape(), entropy=NoncePool()), sock)

        def ask(datagram: bytes) -> Walk:
            client.send_one(datagram, sock.address)
            with walked() as walk:
                replica.drain(1)
            peer.read(bytes(buffer) for buffer, _, _ in client.receive())
            return walk

        ask(peer.hello(keys.newest(wall_us()), b"GET\n", wanted=3600))
        ask(peer.restart(_bound(peer)))
        return ask(peer.speak(peer.base, peer.top))


def _bound(peer: Peer) -> int:
    assert peer.transport is not None
    episode = peer.transport.episode
    return episode.edge(peer.proof(episode.base)[-1][1])


def byte_to_datagram() -> Walk:
    """A byte that a gateway's user sends on a connection to a fleet leaves in a datagram."""
    walks, received = list[Walk](), Downstream.data_received

    def walking(self: Downstream, data: bytes) -> None:
        with walked() as walk:
            received(self, data)
        walks.append(walk)

    async def sent() -> None:
        async with house() as home:
            reader, writer = await home.dial()
            writer.write(b"get 3\n")
            await reader.readexactly(3)
            Downstream.data_received = walking  # type: ignore[method-assign]
            writer.write(b"get 4\n")
            await reader.readexactly(4)

    try:
        on_loop(sent())
    finally:
        Downstream.data_received = received  # type: ignore[method-assign]
    return walks[0]


async def _program(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"hello"})


def request_to_program() -> Walk:
    """A GET request that an ASGI application answers, from the event to the reply."""

    async def walking(fleet: Programs) -> Walk:
        server = fleet.replica()
        with walked() as walk:
            await asked(server, event(get("/")))
            await settled()
        return walk

    return with_fleet(lambda: AsgiApplication(_program), walking)


def static_file(folder: Path) -> Walk:
    """A GET request for a file of which nothing is remembered, from the event to the reply."""
    site = fill(folder, {"a.txt": b"a", "b.txt": bytes(3_000)})
    server = origin(site, repeats=Repeats(time.time_ns))
    server.handle(event(get("/a.txt")))
    with walked() as walk:
        server.handle(event(get("/b.txt")))
    return walk


def all_trips(folder: Path) -> dict[str, Walk]:
    """Each by the name that the page gives it."""
    return {
        "A datagram to its replies": datagram_to_replies(),
        "A byte of a user to a datagram": byte_to_datagram(),
        "A request to an ASGI application and back": request_to_program(),
        "A static file": static_file(folder),
    }


if __name__ == "__main__":
    with TemporaryDirectory() as made:
        trips = all_trips(Path(made) / "site")
    print(json.dumps({name: [walk.rooms, len(walk.stays)] for name, walk in trips.items()}))
