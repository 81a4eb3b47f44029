"""The commonest scenario in one call: one client, some replicas, one wire each way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from trickles.testing.client import ClientHost
from trickles.testing.clock import SECOND
from trickles.testing.endpoints import Application, ClientLike, ListenerFactory
from trickles.testing.packet import Address
from trickles.testing.replica import ReplicaSpec
from trickles.testing.report import Report
from trickles.testing.simulation import Simulation
from trickles.testing.spec import TEN_MEGABIT, LinkSpec

ClientFactory = Callable[[Callable[[int], bytes], Sequence[Address]], ClientLike]
"""Makes a client's engine from its entropy and the replicas' addresses."""

Arrange = Callable[[Simulation, ClientHost], object]
"""Prepares what is to befall the hosts, before anything moves."""


def run_transfer(
    simulation: Simulation,
    listener: ListenerFactory,
    client: ClientFactory,
    application: Application,
    *,
    replicas: int | Sequence[ReplicaSpec] = 1,
    up: LinkSpec = TEN_MEGABIT,
    down: LinkSpec = TEN_MEGABIT,
    arrange: Arrange | None = None,
    max_time: int = 3_600 * SECOND,
) -> Report:
    """Runs one application over one client, with links `up` to and `down` from the replicas; reports how it went.

    `arrange` may kill, move, stall and add as it likes: it sees the simulation built, at time 0.
    """
    specs = [ReplicaSpec()] * replicas if isinstance(replicas, int) else replicas
    addresses = [simulation.add_replica(listener, spec).address for spec in specs]
    host = simulation.add_client(
        client(simulation.entropy("client"), addresses),
        application,
        outgoing=[simulation.add_link("up", up)],
        incoming=[simulation.add_link("down", down)],
    )
    if arrange is not None:
        arrange(simulation, host)
    return simulation.run_transfer(host, max_time=max_time)
