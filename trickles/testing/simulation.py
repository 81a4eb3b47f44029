"""A simulation: one seed, one clock, and the hosts and links of one scenario."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from trickles.testing.client import ClientHost
from trickles.testing.clock import SECOND, Clock
from trickles.testing.endpoints import Application, ClientLike, ListenerFactory
from trickles.testing.journal import Journal
from trickles.testing.link import Link
from trickles.testing.network import Anycast, Network, Spray
from trickles.testing.packet import Address, Hop
from trickles.testing.replica import Replica, ReplicaSpec
from trickles.testing.report import Report, transfer_report
from trickles.testing.seeds import Seeds
from trickles.testing.spec import LinkSpec
from trickles.testing.tcp import TcpFlow
from trickles.testing.world import WALL, World

PORT = 4433
FIRST_CLIENT_PORT = 40_000


class Simulation:
    """Add links and hosts, then `run`; everything follows from `seed` alone.

    `record` keeps a line for each packet; `payloads` includes the content of packets in the digest. `wall` is the
    wall-clock time at the start, microseconds since 1970.
    """

    def __init__(
        self,
        seed: int,
        *,
        scenario: str = "simulation",
        record: bool = False,
        payloads: bool = False,
        wall: int = WALL,
    ) -> None:
        self.seed = seed
        self.scenario = scenario
        clock = Clock()
        self.world = World(clock, Network(clock), Seeds(seed), Journal(record=record, payloads=payloads), wall)
        self.replicas: list[Replica] = []  # in the order they were added
        self.clients: list[ClientHost] = []
        self.flows: list[TcpFlow] = []

    @property
    def now(self) -> int:
        return self.world.clock.now

    @property
    def clock(self) -> Clock:
        """The clock, for events of the scenario itself."""
        return self.world.clock

    @property
    def digest(self) -> str:
        """Digest of all events on links so far; equal runs have equal digests."""
        return self.world.journal.digest

    def random(self, name: str) -> Random:
        """Return a generator for the scenario's own choices, independent of other streams."""
        return self.world.seeds.random(f"scenario/{name}")

    def entropy(self, name: str) -> Callable[[int], bytes]:
        return self.world.seeds.entropy(f"entropy/{name}")

    def add_link(self, name: str, spec: LinkSpec) -> Link:
        """Add a one-way link, for the hosts that it connects to the core."""
        world = self.world
        link = Link(world.clock, world.journal, world.seeds, name, len(world.links), spec)
        world.links.append(link)
        return link

    def add_replica(
        self, factory: ListenerFactory, spec: ReplicaSpec | None = None, *, address: Address | None = None
    ) -> Replica:
        """Add a host with a server process made by `factory`, at 192.0.2.x by default."""
        index = len(self.replicas)
        address = address or (f"192.0.2.{index + 1}", PORT)
        replica = Replica(self.world, factory, f"replica {index}", index, address, spec or ReplicaSpec())
        self.world.network.attach(address, replica)
        self.replicas.append(replica)
        return replica

    def add_anycast(
        self, address: Address, replicas: Sequence[Replica] | None = None, spray: Spray = "random"
    ) -> Anycast:
        """Add an address of several replicas (default: all so far); the network picks one for each packet."""
        anycast = Anycast(replicas or self.replicas, spray, self.world.seeds.random(f"anycast/{address}"))
        self.world.network.attach(address, anycast)
        return anycast

    def add_client(
        self,
        engine: ClientLike,
        application: Application,
        *,
        outgoing: Sequence[Hop] = (),
        incoming: Sequence[Hop] = (),
        start: int = 0,
        address: Address | None = None,
        batching: int | None = None,
    ) -> ClientHost:
        """Add a host with one client engine that starts at `start` microseconds; its links lead to and from the core.

        It flushes after each datagram, or with `batching` that many microseconds after the first of a batch.
        """
        index = len(self.clients)
        address = address or (f"10.{index >> 8}.{index & 255}.1", FIRST_CLIENT_PORT)
        client = ClientHost(self.world, f"client {index}", engine, application, address, outgoing, incoming, batching)
        self.clients.append(client)
        self.clock.at(max(start, self.now), ClientHost.start, client)
        return client

    def add_tcp(
        self,
        data_links: Sequence[Hop],
        ack_links: Sequence[Hop],
        *,
        start: int = 0,
        mss_bytes: int = 1_448,
        segments: int | None = None,
    ) -> TcpFlow:
        """Add a TCP flow that starts to send at `start`: without end, or that many segments of `mss_bytes`."""
        name = f"tcp {len(self.flows)}"
        ends = (f"198.51.100.{len(self.flows)}", 80), (f"203.0.113.{len(self.flows)}", 50_000)
        flow = TcpFlow(self.world, name, ends, data_links, ack_links, mss_bytes=mss_bytes, segments=segments)
        self.flows.append(flow)
        self.clock.at(max(start, self.now), TcpFlow.start, flow)
        return flow

    def run(self, *, until: Callable[[], bool] | None = None, max_time: int = 3_600 * SECOND) -> bool:
        """Run until `until()` holds, or to `max_time`; return whether it held. More calls continue.

        Without `until` it runs until all clients are done, or to `max_time` if there are none.
        """
        return self.clock.run(max_time, until or self._all_done)

    def run_transfer(self, client: ClientHost, *, max_time: int = 3_600 * SECOND) -> Report:
        """Run until that client's application is done, and report on it."""
        self.clock.run(max_time, lambda: client.finished_at is not None or client.failure is not None)
        return self.report(client)

    def report(self, client: ClientHost) -> Report:
        return transfer_report(self.scenario, client, self.replicas)

    def _all_done(self) -> bool:
        return bool(self.clients) and all(client.done for client in self.clients)
