"""One download whose packets are answered by whichever replica gets them, and the troubles that may come on top."""

from dataclasses import dataclass

from tests.support.fleetkeys import WALL, epoch
from tests.support.worlds import REQUEST, ROUGH, SPRAY, client, files
from trickles.client import ClientConfig
from trickles.keyring import Keyring
from trickles.listener import Listener
from trickles.testing import (
    MILLISECOND,
    SECOND,
    Birth,
    ClientHost,
    Fetch,
    LinkSpec,
    Replica,
    ReplicaSpec,
    Report,
    Simulation,
    kill_at_random,
)
from trickles.testing.network import Spray

ANYWHERE = ("192.0.2.250", 4433)
OLD = Keyring((epoch(1),))


@dataclass(frozen=True, slots=True)
class Rotation:
    """The next epoch reaches all replicas within `spread` microseconds, and seals from `in_force` on."""

    spread: int
    in_force: int


PLANNED = Rotation(200 * MILLISECOND, 250 * MILLISECOND)
CARELESS = Rotation(200 * MILLISECOND, 0)  # it seals while others do not hold it yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What befalls the fleet. Without `anycast` the client sprays its requests, with it the network sprays packets."""

    replicas: int = 2
    wire: LinkSpec = ROUGH
    config: ClientConfig = SPRAY
    anycast: Spray | None = None
    drop_caches: float = 0.0  # chance before each datagram
    kills: bool = False  # a random replica each 70 ms, for 50 ms; one other is spared
    unreachable: bool = False  # ICMP tells of a dead replica
    rotation: Rotation | None = None
    skew: int = 0  # microseconds that clocks are ahead, of the replicas with even index; behind, of the others


def alternate(simulation: Simulation, body: bytes, trouble: Trouble) -> Report:
    """Downloads `body`, compared byte by byte, through that trouble."""
    keyrings = Keyrings(trouble.rotation or PLANNED)
    for index in range(trouble.replicas):
        skew = -trouble.skew if index % 2 else trouble.skew
        spec = ReplicaSpec(drop_caches=trouble.drop_caches, skew=skew)
        simulation.add_replica(files(body, keyrings.of), spec)
    if trouble.kills:
        down, unreachable = 50 * MILLISECOND, trouble.unreachable
        kill_at_random(simulation, simulation.replicas, every=70 * MILLISECOND, down=down, unreachable=unreachable)
    if trouble.rotation is not None:
        keyrings.begin(simulation)
    return simulation.run_transfer(_add_client(simulation, body, trouble), max_time=600 * SECOND)


def _add_client(simulation: Simulation, body: bytes, trouble: Trouble) -> ClientHost:
    addresses = [replica.address for replica in simulation.replicas]
    if trouble.anycast is not None:
        simulation.add_anycast(ANYWHERE, spray=trouble.anycast)
        addresses = [ANYWHERE]
    return simulation.add_client(
        client(trouble.config)(simulation.entropy("client"), addresses),
        Fetch(REQUEST, body),
        outgoing=[simulation.add_link("up", trouble.wire)],
        incoming=[simulation.add_link("down", trouble.wire)],
    )


class Keyrings:
    """Which keyring each replica holds; the next one reaches them one after the other, and outlives their deaths."""

    def __init__(self, rotation: Rotation) -> None:
        self._spread = rotation.spread
        self._new = Keyring((*OLD.epochs, epoch(2, not_before=WALL + rotation.in_force)))
        self._holders: set[int] = set()

    def of(self, birth: Birth) -> Keyring:
        """The keyring of a process that starts."""
        return self._new if birth.index in self._holders else OLD

    def begin(self, simulation: Simulation) -> None:
        """Hands every replica the next epoch, each at a random time."""
        rng = simulation.random("rotation")
        for replica in simulation.replicas:
            simulation.clock.at(rng.randrange(self._spread), self._hand, replica)

    def _hand(self, replica: Replica) -> None:
        self._holders.add(replica.index)
        listener = replica.listener
        assert isinstance(listener, Listener)
        listener.replace_keyring(self._new)
