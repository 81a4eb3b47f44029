"""Connections that begin on terrible paths, and fleets that ask newcomers to prove their address first."""

from dataclasses import replace

import pytest

from tests.support.fleetkeys import ring
from tests.support.limits import TEST_LIMITS
from tests.support.toys import File
from tests.support.worlds import HOME, KEYS, REQUEST, SPRAY, client, content, download, files, listener
from trickles.client import ClientConfig
from trickles.handshake import verify_certificate_untrusted
from trickles.testing import (
    MILLISECOND,
    SECOND,
    TEN_MEGABIT,
    Fate,
    Fetch,
    LinkSpec,
    Report,
    Simulation,
    for_seeds,
    run_transfer,
)
from trickles.trace import Counters

BODY = content(10_000)
LOSSY = replace(TEN_MEGABIT, loss=0.3)
CERTIFICATE = KEYS.epochs[0].certificate
IDENTITY = verify_certificate_untrusted(CERTIFICATE, None).identity


def fifty(simulation: Simulation, wire: LinkSpec) -> Simulation:
    """Fifty clients that begin within a second over one path, each with a download of its own; run to the end."""
    for _ in range(2):
        simulation.add_replica(files(BODY))
    up, down = simulation.add_link("up", wire), simulation.add_link("down", wire)
    addresses = [replica.address for replica in simulation.replicas]
    for index in range(50):
        engine = client(HOME)(simulation.entropy(f"client {index}"), addresses)
        start = simulation.random("starts").randrange(SECOND)
        simulation.add_client(engine, Fetch(REQUEST, BODY), outgoing=[up], incoming=[down], start=start)
    simulation.run(max_time=120 * SECOND)
    return simulation


def outcomes(simulation: Simulation) -> set[str | None]:
    """How clients failed, None for those that have all they wanted."""
    return {each.failure if each.done else "not done" for each in simulation.clients}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_fifty_connections_at_once_through_30_percent_loss(seed: int) -> None:
    simulation = fifty(Simulation(seed), LOSSY)
    assert outcomes(simulation) == {None}, f"seed {seed}"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_fifty_connections_at_once_through_30_percent_damage(seed: int) -> None:
    simulation = fifty(Simulation(seed), replace(TEN_MEGABIT, corrupt=0.3))
    assert outcomes(simulation) == {None}, f"seed {seed}"


def one(wire: LinkSpec, config: ClientConfig = HOME) -> list[Report]:
    """Fifty connections, each on a path of its own."""

    def handshake(simulation: Simulation) -> Report:
        return download(simulation, BODY, config=config, up=wire, down=wire)

    return for_seeds(handshake, range(50))


@pytest.mark.slow
@pytest.mark.parametrize("config", [HOME, SPRAY], ids=["home", "spray"])
def test_fifty_connections_alone_through_30_percent_loss(config: ClientConfig) -> None:
    reports = one(LOSSY, config)
    assert sorted(report.duration for report in reports)[25] < 3 * SECOND


@pytest.mark.slow
def test_fifty_connections_alone_through_30_percent_damage() -> None:
    reports = one(replace(TEN_MEGABIT, corrupt=0.3))
    assert sorted(report.duration for report in reports)[25] < 3 * SECOND


def test_a_client_that_knows_the_fleet_has_its_first_bytes_after_one_round_trip() -> None:
    known = replace(HOME, certificate=CERTIFICATE, identity=IDENTITY)

    def familiar(simulation: Simulation) -> Report:
        return download(simulation, BODY[:100], config=known)

    (report,) = for_seeds(familiar, [1])
    assert 30 * MILLISECOND < report.duration < 35 * MILLISECOND


def test_a_certificate_of_an_epoch_that_the_fleet_forgot_costs_one_more_round_trip() -> None:
    stale = replace(HOME, certificate=ring(9).epochs[0].certificate, identity=IDENTITY)

    def outdated(simulation: Simulation) -> Report:
        return download(simulation, BODY[:100], config=stale)

    (report,) = for_seeds(outdated, [1])
    assert 60 * MILLISECOND < report.duration < 70 * MILLISECOND


@pytest.mark.parametrize("wire", [TEN_MEGABIT, LOSSY], ids=["clean", "lossy"])
def test_a_crowded_fleet_asks_for_a_cookie_and_then_serves(wire: LinkSpec) -> None:
    def crowded(simulation: Simulation) -> Report:
        factory = listener(File(BODY), limits=replace(TEST_LIMITS, max_hellos_per_second=0))
        return run_transfer(simulation, factory, client(HOME), Fetch(REQUEST, BODY), replicas=2, up=wire, down=wire)

    for report in for_seeds(crowded, range(20)):
        counters = report.listeners["replica 0"]
        assert isinstance(counters, Counters)
        assert counters["cookies"] >= (1 if wire is TEN_MEGABIT else 0)


def test_a_fleet_that_never_answers_is_given_up_after_half_a_minute() -> None:
    simulation = Simulation(1)
    report = download(simulation, BODY, up=replace(TEN_MEGABIT, loss=1.0))
    assert (report.completed, report.failure) == (False, "no answer to the handshake")
    assert 30 * SECOND <= report.duration <= 36 * SECOND
    assert report.links["up"].dropped[Fate.LOST] < 20
