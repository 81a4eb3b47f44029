"""The model beside the true engines: one scene by the packet simulator and by flows, at a size that both can take."""

from collections.abc import Iterator, Sequence
from random import Random

from benchmarks.request_cost import RESPONSE, RING, Small
from benchmarks.scale.costs import Costs, Paths
from benchmarks.scale.fleet import Fleet
from benchmarks.scale.flows import FELT, Flows, Population
from benchmarks.scale.routes import Listed
from benchmarks.scale.world import Outcomes, Scale, percentile_of
from benchmarks.support.statistics import percentile
from trickles.client import Client, ClientConfig
from trickles.listener import Listener
from trickles.testing import MILLISECOND, SECOND, Birth, ClientHost, LinkSpec, ReplicaSpec, Session, Simulation
from trickles.testing.endpoints import data_of

CLIENTS, REPLICAS = 1_000, 10  # the largest that takes a minute
COST = 2 * MILLISECOND  # of each datagram at a replica
GONE_AT, STOP = 6 * SECOND, 9 * SECOND
PAUSE = SECOND
REQUEST = b"GET /\n"


COLUMNS = ("delay p50, ms", "victims' longest, p50 ms", "p90", "clients > 100 ms, %", "datagrams/s at a living replica")


class Pausing:
    """An application that asks after pauses, and notes when each exchange began and how long it took."""

    def __init__(self, rng: Random) -> None:
        self.exchanges: list[tuple[int, int]] = []
        self._rng = rng
        self._missing = self._asked = 0

    def start(self, session: Session) -> None:
        self._ask(session)

    def receive(self, session: Session, event: object) -> None:
        """Take the answer; ask again after a pause when all of it has come."""
        self._missing -= len(data_of(event) or b"")
        if not self._missing and self._asked >= 0:
            self.exchanges.append((self._asked, session.now - self._asked))
            self._asked = -1
            session.after(int(self._rng.expovariate(1) * PAUSE), lambda: self._ask(session))

    def _ask(self, session: Session) -> None:
        self._asked, self._missing = session.now, len(RESPONSE)
        session.engine.write(REQUEST)


def check(scale: Scale) -> Outcomes:
    """Lose every third replica, by the engines and by flows; at a size of at most 1,000 clients and 10 replicas."""
    clients, replicas = min(scale.clients, CLIENTS), min(scale.replicas, REPLICAS)
    done = Outcomes(f"{clients} clients, {replicas} replicas, every third gone: engines and flows", COLUMNS, "")
    for name, refuses in (("silent", False), ("ICMP", True)):
        done.add(f"{name}: engines", by_engines(clients, replicas, scale.seed, refuses=refuses))
        done.add(f"{name}: flows", by_flows(clients, replicas, scale.seed, refuses=refuses))
    return done


def new_flows(clients: int, replicas: int, seed: int) -> Flows:
    """Return flows that all cost the same."""
    costs = Costs(hello=COST, first=COST, kept=COST, foreign=COST)
    population = Population(clients=clients, pause=PAUSE, downloads=0.0, paths=Paths())
    router = Listed(clients, replicas, Random(f"{seed}/list"))
    return Flows(population, Fleet(replicas), router, costs, seed)


def begins(clients: int, seed: int) -> Iterator[int]:
    rng = Random(f"{seed}/begin")
    return (rng.randrange(SECOND) for _ in range(clients))


def by_flows(clients: int, replicas: int, seed: int, *, refuses: bool) -> Sequence[float]:
    """Return the figures of the model."""
    flows = new_flows(clients, replicas, seed)
    for each in range(0, replicas, 3):
        flows.fleet.plan_outage(each, GONE_AT, refuses=refuses)
    for client, start in enumerate(begins(clients, seed)):
        flows.begin(client, start, known=False)
    flows.run(GONE_AT)
    usual = percentile_of(flows.tally.delays, 50)
    victims = [client for client, place in enumerate(flows.place) if place % 3 == 0]
    came, in_vain = flows.tally.requests, flows.tally.in_vain
    flows.forget_delays()
    flows.run(STOP)
    came = flows.tally.requests - came - (flows.tally.in_vain - in_vain)
    return figures(usual, [flows.worst[each] for each in victims], flows.worst, came, replicas)


def by_engines(clients: int, replicas: int, seed: int, *, refuses: bool) -> Sequence[float]:
    """Return the figures of the packet simulator, with the same clients at the same distances."""
    simulation, flows = Simulation(seed), new_flows(clients, replicas, seed)
    hosts = [simulation.add_replica(new_listener, ReplicaSpec(service_time=COST)) for _ in range(replicas)]
    users = [Pausing(simulation.random(f"pauses {client}")) for client in range(clients)]
    ends = [
        join(simulation, flows, client, start, user)
        for client, (start, user) in enumerate(zip(begins(clients, seed), users, strict=True))
    ]
    simulation.run(max_time=GONE_AT)
    waits = [took - flows.trip[client] for client, user in enumerate(users) for _, took in user.exchanges[1:]]
    dead = {f"{host.address[0]}:{host.address[1]}" for host in hosts[::3]}
    victims = [client for client, end in enumerate(ends) if home_of(end) in dead]
    for host in hosts[::3]:
        host.kill(unreachable=refuses)
    came = sum(host.stats.received for host in hosts)
    simulation.run(max_time=STOP)
    came = sum(host.stats.received for host in hosts) - came
    worst = [longest(user) - flows.trip[client] for client, user in enumerate(users)]
    return figures(percentile(waits, 50) / MILLISECOND, [worst[each] for each in victims], worst, came, replicas)


def new_listener(birth: Birth) -> Listener:
    return Listener(RING, Small(), entropy=birth.entropy)


def join(simulation: Simulation, flows: Flows, client: int, start: int, user: Pausing) -> ClientHost:
    """Add a client with the round trip and the place in the list that it has as a flow."""
    first, step = flows.router.place(client) if isinstance(flows.router, Listed) else (0, 1)
    config = ClientConfig(
        first=first + (step - 1) * len(simulation.replicas),
        certificate=RING.newest(simulation.world.wall).certificate,
        probe_sizes=(),
    )
    addresses = [host.address for host in simulation.replicas]
    engine = Client(addresses, entropy=simulation.entropy(f"client {client}"), config=config)
    trip = flows.trip[client]
    up, down = LinkSpec(delay=trip // 2), LinkSpec(delay=trip // 2, jitter=int(trip * Paths().jitter))
    links = simulation.add_link(f"up {client}", up), simulation.add_link(f"down {client}", down)
    return simulation.add_client(engine, user, outgoing=links[:1], incoming=links[1:], start=start)


def home_of(end: ClientHost) -> object:
    engine = end.engine
    return engine.statistics()["replica"] if isinstance(engine, Client) else None


def longest(user: Pausing) -> int:
    """Return how long the longest exchange took that ended after the loss, microseconds."""
    return max((took for begun, took in user.exchanges if begun + took >= GONE_AT), default=0)


def figures(usual: float, stalls: Sequence[int], worst: Sequence[int], came: int, replicas: int) -> Sequence[float]:
    stalls = [each for each in stalls if each > 0] or [0]
    felt = 100 * sum(each > FELT for each in worst) / len(worst)
    living = replicas - len(range(0, replicas, 3))
    rate = came * SECOND / (STOP - GONE_AT) / living
    return usual, percentile(stalls, 50) / MILLISECOND, percentile(stalls, 90) / MILLISECOND, felt, rate
