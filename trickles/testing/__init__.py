"""A network in virtual time, to test Trickles engines and applications: seeded, replayable, fast.

A scenario is a function that gets an empty simulation, adds links and hosts, runs it, and reports:

>>> from dataclasses import dataclass, replace
>>> from trickles import Client, Continuation, Epoch, Event, Keyring, Listener, Reply
>>> from trickles.handshake import certify
>>> keys = Keyring((certify(Epoch(1, bytes(32)), bytes(32), life=1 << 62),))
>>> wire, body = replace(TEN_MEGABIT, loss=BurstLoss(0.02, longest=3)), bytes(100_000)
>>> class Body:
...     def handle(self, event: Event) -> Reply:
...         known = event.continuation or Continuation(b"body", 0, len(body), len(event.input))
...         return Reply(tuple((start, body[start:stop]) for start, stop in event.wants), known, len(body))
>>> def lossy(simulation: Simulation) -> Report:
...     return run_transfer(
...         simulation,
...         lambda birth: Listener(keys, Body(), entropy=birth.entropy),
...         lambda entropy, replicas: Client(replicas, entropy=entropy),
...         Fetch(b"the request", expected=body),
...         replicas=2,
...         up=wire,
...         down=wire,
...         arrange=lambda simulation, client: kill_at(simulation, simulation.replicas[0], 100 * MILLISECOND),
...     )
>>> reports = for_seeds(lossy, range(5))  # a failure names its seed; replay(lossy, seed) shows every packet of it
>>> [report.completed for report in reports]
[True, True, True, True, True]

For several clients, shared bottlenecks, TCP flows or anycast, use `Simulation` directly.
"""

from trickles.spool import MemorySpool
from trickles.testing.applications import Conversation, Fetch
from trickles.testing.chaos import kill_at, kill_at_random, outage, rolling_restart
from trickles.testing.client import ClientHost
from trickles.testing.clock import MILLISECOND, SECOND, Clock, Livelock, Timer
from trickles.testing.curve import DeliveryCurve
from trickles.testing.endpoints import Application, Birth, ClientLike, ListenerFactory, ListenerLike, Session
from trickles.testing.link import Link
from trickles.testing.losses import Blackhole, BurstLoss, Gilbert
from trickles.testing.network import Anycast
from trickles.testing.replica import Replica, ReplicaSpec
from trickles.testing.report import Report
from trickles.testing.scenario import (
    Arrange,
    ClientFactory,
    Scenario,
    SeedFailure,
    assert_replayable,
    for_seeds,
    replay,
    run_scenario,
    run_transfer,
)
from trickles.testing.simulation import Simulation
from trickles.testing.spec import TEN_MEGABIT, LinkSpec
from trickles.testing.stats import Fate, HostStats, LinkStats
from trickles.testing.tcp import TcpFlow

__all__ = [
    "MILLISECOND",
    "SECOND",
    "TEN_MEGABIT",
    "Anycast",
    "Application",
    "Arrange",
    "Birth",
    "Blackhole",
    "BurstLoss",
    "ClientFactory",
    "ClientHost",
    "ClientLike",
    "Clock",
    "Conversation",
    "DeliveryCurve",
    "Fate",
    "Fetch",
    "Gilbert",
    "HostStats",
    "Link",
    "LinkSpec",
    "LinkStats",
    "ListenerFactory",
    "ListenerLike",
    "Livelock",
    "MemorySpool",
    "Replica",
    "ReplicaSpec",
    "Report",
    "Scenario",
    "SeedFailure",
    "Session",
    "Simulation",
    "TcpFlow",
    "Timer",
    "assert_replayable",
    "for_seeds",
    "kill_at",
    "kill_at_random",
    "outage",
    "replay",
    "rolling_restart",
    "run_scenario",
    "run_transfer",
]
