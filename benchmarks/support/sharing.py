"""A cheat beside an honest client on one bottleneck, in the simulator: the cheat's share of it.

10 Mbit/s, a round trip of 50 ms, a drop-tail queue of about one bandwidth-delay product; one replica; the honest client
is the engine that everybody uses, and the cheat is the same with an attack on top. What is counted is bytes that reach
either of them after a warm-up, of whatever kind; for a spoofed source those that reach the third party too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks.support import cheats
from benchmarks.support.cheating import REQUEST, Cheat, honest
from trickles.limits import MILLISECOND, SECOND
from trickles.listener import Listener
from trickles.testing import Fetch, LinkSpec, Simulation
from trickles.testing.endpoints import ListenerFactory
from trickles.testing.link import Link
from trickles.testing.network import Node
from trickles.testing.packet import Packet
from trickles.tools.attacks.catalogue import ATTACKS
from trickles.tools.attacks.desk import KEYRING, DeskTarget, Endless
from trickles.tools.attacks.undefended import Undefended
from trickles.tools.peer import Peer
from trickles.wire.hello import Certificate
from trickles.wire.kinds import Address

BOTTLENECK = LinkSpec(rate=10_000_000, delay=25 * MILLISECOND, queue_packets=50, jitter=MILLISECOND)
LOSSY = LinkSpec(rate=30_000_000, delay=15 * MILLISECOND, queue_packets=100)
WARM_UP = 3 * SECOND
VICTIM: Address = ("203.0.113.66", 7)

Engine = Callable[[Sequence[Address], Certificate, str], Cheat]


@dataclass(frozen=True, slots=True)
class Contender:
    """One attack of the simulator; `connections` are as many as the cheat has at once, each worth a fair share."""

    engine: Engine
    spoofs: bool = False
    connections: int = 1
    replicas: int = 1  # the second is asked for what the first would not give again


SHARES = {
    "none": Contender(Cheat),
    "replay": Contender(cheats.Replayer),
    "optimistic-acknowledgement": Contender(cheats.Optimist),
    "hidden-loss": Contender(cheats.Hider),
    "hidden-loss, two replicas": Contender(cheats.Hider, replicas=2),
    "copies to other replicas, two": Contender(cheats.Copier, replicas=2),
    "copies to other replicas, three": Contender(cheats.Copier, replicas=3),
    "hoarded-window": Contender(cheats.Hoarder),
    "hoarded-window, two replicas": Contender(cheats.Hoarder, replicas=2),
    "spoofed-source": Contender(Cheat, spoofs=True),
    "hello-flood": Contender(cheats.HelloFlooder),
    "connection-flood": Contender(cheats.ConnectionFlooder, connections=2),
    "splitting": Contender(cheats.Splitter),
}


@dataclass(frozen=True, slots=True)
class Share:
    """Bits per second that went to the cheat (with `connections` of them) and to the honest client."""

    cheat: float
    honest: float
    connections: int = 1

    @property
    def share(self) -> float:
        """The cheat's over its fair share; 1.0 is fair."""
        fair = self.connections / (self.connections + 1)
        return self.cheat / (self.cheat + self.honest) / fair if self.cheat else 0.0


class Victim(Node):
    """A host that asked for nothing; counts what reaches it."""

    received_bytes = 0

    def receive(self, packet: Packet) -> None:
        self.received_bytes += len(packet.data)


def defended() -> ListenerFactory:
    """The replica as it is, with an output without end."""
    return lambda birth: Listener(KEYRING, Endless(), entropy=birth.entropy)


def undefended(name: str) -> ListenerFactory:
    """The replica without what defends it against that attack."""
    attack = ATTACKS[name.partition(",")[0]]
    return lambda birth: Undefended(KEYRING, Endless(), entropy=birth.entropy, without=attack.without)


def share(name: str, seed: int, *, seconds: int = 30, listener: ListenerFactory | None = None) -> Share:
    """Run that attack beside an honest client, for so many virtual seconds after the warm-up."""
    entry, simulation = SHARES[name], Simulation(seed, scenario=name)
    down, up = simulation.add_link("down", BOTTLENECK), simulation.add_link("up", BOTTLENECK)
    replicas = [simulation.add_replica(listener or defended()).address for _ in range(entry.replicas)]
    starts = simulation.random("starts")
    certificate = DeskTarget.certificate
    cheat, other = entry.engine(replicas, certificate, f"{seed}"), honest(replicas, certificate, bytes(32))
    hosts = [
        simulation.add_client(each, Fetch(REQUEST), outgoing=[up], incoming=[down], start=starts.randrange(SECOND))
        for each in (cheat, other)
    ]
    victim = Victim("victim", incoming=[down])
    if entry.spoofs:
        _spoof(simulation, victim, up, replicas[0])

    def counted() -> tuple[int, int]:
        cheats, others = (host.stats.received_bytes for host in hosts)
        return cheats + victim.received_bytes, others

    simulation.run(max_time=WARM_UP)
    before = counted()
    simulation.run(max_time=WARM_UP + seconds * SECOND)
    after = counted()
    taken, left = ((stop - start) * 8 / seconds for start, stop in zip(before, after, strict=True))
    return Share(taken, left, entry.connections)


def alone(name: str, loss: float, seed: int, *, seconds: int = 30) -> float:
    """Bits per second that reach that cheat alone on a link that loses packets at random."""
    simulation = Simulation(seed, scenario=f"{name} alone")
    down, up = simulation.add_link("down", replace(LOSSY, loss=loss)), simulation.add_link("up", LOSSY)
    replica = simulation.add_replica(defended())
    cheat = SHARES[name].engine([replica.address], DeskTarget.certificate, f"{seed}/cheat")
    host = simulation.add_client(cheat, Fetch(REQUEST), outgoing=[up], incoming=[down])
    simulation.run(max_time=WARM_UP)
    before = host.stats.received_bytes
    simulation.run(max_time=WARM_UP + seconds * SECOND)
    return (host.stats.received_bytes - before) * 8 / seconds


def _spoof(simulation: Simulation, victim: Victim, up: Link, replica: Address) -> None:
    """Hellos in the victim's name, as often as `HelloFlooder` says them in its own."""
    attacker, network = Node("attacker", outgoing=[up]), simulation.world.network
    network.attach(VICTIM, victim)

    def strike() -> None:
        hello = Peer(f"spoofed {simulation.now}").hello(DeskTarget.certificate, REQUEST, wanted=1 << 20)
        network.send(attacker, VICTIM, replica, hello)

    simulation.clock.every(cheats.HelloFlooder.interval, strike)
