"""The world of one scene: fleet, router and flows of a given scale, and what is noted of them as time passes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from benchmarks.scale.costs import Costs
from benchmarks.scale.fleet import Fleet
from benchmarks.scale.flows import DOWNLOAD_PAUSE, Flows, Population
from benchmarks.scale.routes import Listed, Router
from trickles.client.handshake import LAST_RETRY
from trickles.limits import MILLISECOND, SECOND

SAMPLE = 100 * MILLISECOND
MEAN_TRIP = 32 * MILLISECOND  # of `Paths`: (100 - 5) / ln(100 / 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The size of a scene, its seed, and the load of the fleet before anything happens."""

    clients: int = 1_000_000
    replicas: int = 1_000
    seed: int = 1
    load: float = 0.5

    def random(self, name: str) -> Random:
        return Random(f"{self.seed}/{name}")


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a plot: seconds, and a value at each."""

    name: str
    seconds: Sequence[float]
    values: Sequence[float]


@dataclass(slots=True)
class Outcomes:
    """A scene's table, its curves, and the label of the curves' values."""

    title: str
    columns: Sequence[str]
    unit: str
    rows: list[tuple[str, Sequence[float]]] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)

    def add(self, name: str, row: Sequence[float], curve: Curve | None = None) -> None:
        self.rows.append((name, row))
        if curve is not None:
            self.curves.append(curve)


def costs_for(scale: Scale, population: Population) -> Costs:
    """Return costs with as much work of the application as gives the fleet its load."""
    costs = Costs()
    downloads = population.clients * population.downloads
    bursts = downloads / (DOWNLOAD_PAUSE + MEAN_TRIP)  # a microsecond
    requests = (population.clients - downloads) / (population.pause + MEAN_TRIP)
    room = scale.load * scale.replicas - bursts * costs.burst
    return replace(costs, work=max(int(room / requests) - costs.kept, 0))


@dataclass(slots=True)
class World:
    """Flows at work, and samples of them."""

    scale: Scale
    flows: Flows
    seconds: list[float] = field(default_factory=list)
    mean_load: list[float] = field(default_factory=list)  # of living replicas: work that arrived over time
    most_load: list[float] = field(default_factory=list)
    felt: list[float] = field(default_factory=list)  # share of all clients so far
    answered: list[float] = field(default_factory=list)  # exchanges a second
    in_vain: list[float] = field(default_factory=list)  # datagrams a second

    @property
    def fleet(self) -> Fleet:
        return self.flows.fleet

    def run(self, stop: int) -> None:
        """Go on to `stop`, and note each tenth of a second."""
        for when in range((len(self.seconds) + 1) * SAMPLE, stop + 1, SAMPLE):
            self.flows.run(when)
            self._note(when)

    def _note(self, when: int) -> None:
        offered, tally = self.fleet.sample(), self.flows.tally
        loads = [offered[replica] / SAMPLE for replica in self.fleet.living(when - 1)] or [0.0]
        self.seconds.append(when / SECOND)
        self.mean_load.append(sum(loads) / len(loads))
        self.most_load.append(max(loads))
        self.felt.append(sum(self.flows.felt) / len(self.flows.felt))
        self._rate(self.answered, tally.answered)
        self._rate(self.in_vain, tally.in_vain)

    def _rate(self, rates: list[float], total: int) -> None:
        """Note a growth since the last sample, as a rate."""
        rates.append((total - sum(rates) * SAMPLE / SECOND) * SECOND / SAMPLE)

    def curve(self, name: str, values: Sequence[float]) -> Curve:
        return Curve(name, list(self.seconds), [round(value, 5) for value in values])

    def delay(self, percent: float) -> float:
        """Return that percentile of all delays beyond undisturbed, milliseconds."""
        return percentile_of(self.flows.tally.delays, percent)


def percentile_of(counts: Sequence[int], percent: float) -> float:
    """Return the smallest index at or below which lies so much of a histogram."""
    wanted, seen = percent / 100 * sum(counts), 0
    for index, count in enumerate(counts):
        seen += count
        if count and seen >= wanted:
            return index
    return 0


def world(scale: Scale, population: Population, *, router: Router | None = None, known: bool = True) -> World:
    """Return a fleet under its load; `known`: clients have connections, and are in the middle of a pause;
    else they say hello within the two seconds of a client's retries."""
    fleet = Fleet(scale.replicas)
    rng = scale.random("start")
    chosen = router or Listed(scale.clients, scale.replicas, scale.random("list"))
    flows = Flows(population, fleet, chosen, costs_for(scale, population), scale.seed)
    for client in range(scale.clients):
        pause = DOWNLOAD_PAUSE if client < flows.downloads else population.pause
        start = int(rng.expovariate(1) * pause) if known else rng.randrange(LAST_RETRY)
        flows.begin(client, start, known=known)
    return World(scale, flows)
