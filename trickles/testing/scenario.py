"""Scenarios: functions of a simulation, run for many seeds; a failure names its seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from trickles.testing.client import ClientHost
from trickles.testing.clock import SECOND
from trickles.testing.endpoints import Application, ClientLike, ListenerFactory
from trickles.testing.packet import Address
from trickles.testing.replica import ReplicaSpec
from trickles.testing.report import Report
from trickles.testing.simulation import Simulation
from trickles.testing.spec import TEN_MEGABIT, LinkSpec

Scenario = Callable[[Simulation], Report]
"""Adds hosts and links to an empty simulation, runs it, and reports; it may assert."""


class SeedFailure(AssertionError):
    """A failed scenario; `scenario` and `seed` reproduce it."""

    def __init__(self, scenario: str, seed: int, reason: str) -> None:
        super().__init__(f"{scenario} failed with seed {seed}: {reason}\nsee it again: replay({scenario}, {seed})")
        self.scenario = scenario
        self.seed = seed


def run_scenario(scenario: Scenario, seed: int, *, record: bool = False) -> Report:
    """Run a scenario once; SeedFailure if it raises anything or its transfer does not complete."""
    name = getattr(scenario, "__name__", repr(scenario))
    try:
        report = scenario(Simulation(seed, scenario=name, record=record))
    except Exception as error:
        raise SeedFailure(name, seed, f"{type(error).__name__}: {error}") from error
    if not report.completed:
        raise SeedFailure(name, seed, f"{report.failure}\n{report}")
    return report


def for_seeds(scenario: Scenario, seeds: Iterable[int]) -> list[Report]:
    """Run a scenario for each seed; SeedFailure at the first failure."""
    return [run_scenario(scenario, seed) for seed in seeds]


def replay(scenario: Scenario, seed: int, show: Callable[[str], object] = print) -> Report:
    """Run a scenario again and show every packet; then raise what the scenario raised."""
    name = getattr(scenario, "__name__", repr(scenario))
    simulation = Simulation(seed, scenario=name, record=True)
    try:
        report = scenario(simulation)
    finally:
        for line in simulation.world.journal.lines:
            show(line)
    show(str(report))
    return report


def assert_replayable(scenario: Scenario, seed: int) -> Report:
    """Run a scenario twice with one seed; SeedFailure unless both runs are equal, packet by packet."""
    first, second = run_scenario(scenario, seed), run_scenario(scenario, seed)
    if first.digest != second.digest:
        raise SeedFailure(first.scenario, seed, f"two runs differ: digests {first.digest} and {second.digest}")
    return first


ClientFactory = Callable[[Callable[[int], bytes], Sequence[Address]], ClientLike]
"""Makes a client's engine from its entropy and the replicas' addresses."""

Arrange = Callable[[Simulation, ClientHost], object]
"""Prepares failures of hosts, before the simulation starts."""


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
    """Run one application over one client, with links `up` to and `down` from the replicas, and report.

    `arrange` may kill, move, stall and add hosts: it gets the complete simulation at time 0.
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
