"""Clients whose address changes in mid-transfer (NAT rebinding, roaming), and clients that sleep."""

from dataclasses import replace

import pytest

from tests.simulation.services import Lines, request
from tests.support.inside import parts
from tests.support.worlds import HOME, SPRAY, client, content, download, listener
from trickles.client import Client, ClientConfig
from trickles.testing import (
    MILLISECOND,
    SECOND,
    TEN_MEGABIT,
    ClientHost,
    Conversation,
    Report,
    Scenario,
    Simulation,
    for_seeds,
    run_transfer,
)

BODY = content(2_000_000)
SLOW = replace(TEN_MEGABIT, rate=1_000_000)
HOUR = 3_600 * SECOND

policies = pytest.mark.parametrize("config", [HOME, SPRAY], ids=["home", "spray"])
moves = pytest.mark.parametrize("host", [False, True], ids=["port", "address"])


def moving(config: ClientConfig, host: bool, first: int, every: int | None = None) -> Scenario:
    """A download of 17 s whose client moves at `first`, and then again and again."""

    def rebinding(simulation: Simulation) -> Report:
        def arrange(simulation: Simulation, client: ClientHost) -> None:
            if every is None:
                simulation.clock.after(first, lambda: client.rebind(host=host))
            else:
                simulation.clock.every(every, lambda: client.rebind(host=host), first=first)

        return download(simulation, BODY, config=config, up=SLOW, down=SLOW, arrange=arrange)

    return rebinding


@pytest.mark.slow
@policies
@moves
def test_a_client_that_moves_once_goes_on_at_once(config: ClientConfig, host: bool) -> None:
    (report,) = for_seeds(moving(config, host, SECOND), [1])
    assert report.longest_gap < SECOND
    assert report.duration < 20 * SECOND


def test_a_proof_that_nobody_accepts_is_not_shown_for_ever() -> None:
    """Not even by a client that moves so often that each attempt without it meets a challenge."""

    def spoiled(simulation: Simulation) -> Report:
        def arrange(simulation: Simulation, host: ClientHost) -> None:
            rng = simulation.random("moves")

            def spoil() -> None:
                assert isinstance(host.engine, Client)
                for run in parts(host.engine).flight.board._runs:
                    run[2] ^= 1

            def move() -> None:
                host.rebind(host=True)
                simulation.clock.after(rng.randrange(1_200, 2_400) * MILLISECOND, move)

            simulation.clock.after(1_900 * MILLISECOND, spoil)
            simulation.clock.after(2 * SECOND, move)

        talk = Conversation([request(number, 1_152) for number in range(6)], think=700 * MILLISECOND)
        far = replace(TEN_MEGABIT, delay=150 * MILLISECOND)
        return run_transfer(
            simulation, listener(Lines()), client(HOME), talk, replicas=2, up=far, down=far, arrange=arrange
        )

    for report in for_seeds(spoiled, range(6)):
        assert report.duration < 20 * SECOND


@pytest.mark.slow
@policies
@moves
def test_a_client_that_moves_every_five_seconds_is_served_all_the_same(config: ClientConfig, host: bool) -> None:
    (report,) = for_seeds(moving(config, host, SECOND, 5 * SECOND), [1])
    assert report.longest_gap < SECOND
    assert report.duration < 22 * SECOND


@policies
@moves
@pytest.mark.parametrize("first", [5, 20, 40, 50, 70, 90])
def test_a_client_that_moves_during_its_handshake(config: ClientConfig, host: bool, first: int) -> None:
    def rebinding(simulation: Simulation) -> Report:
        def arrange(simulation: Simulation, client: ClientHost) -> None:
            simulation.clock.after(first * MILLISECOND, lambda: client.rebind(host=host))

        return download(simulation, BODY[:50_000], config=config, arrange=arrange)

    (report,) = for_seeds(rebinding, [1])
    assert report.duration < SECOND


def pausing(config: ClientConfig, pause: int) -> Scenario:
    """Five requests with a pause before each but the first."""

    def conversation(simulation: Simulation) -> Report:
        exchanges = [request(number, 20_000) for number in range(5)]
        return run_transfer(
            simulation,
            listener(lambda birth: Lines()),
            client(config),
            Conversation(exchanges, think=pause),
            replicas=2,
            max_time=200 * HOUR,
        )

    return conversation


AGED = [31, 3_600, 20 * 3_600]


@policies
@pytest.mark.parametrize("seconds", [1, 29, *AGED])
def test_an_idle_client_goes_on_where_it_was(config: ClientConfig, seconds: int) -> None:
    pause = seconds * SECOND
    (report,) = for_seeds(pausing(config, pause), [1])
    assert report.bytes_received == 100_000
    assert report.duration < 5 * pause + SECOND
    assert report.client.sent < 200  # nothing is sent while nothing is wanted


def test_an_idle_client_goes_on_with_replicas_born_since() -> None:
    def reborn(simulation: Simulation) -> Report:
        def everyone_restarts() -> None:
            for replica in simulation.replicas:
                replica.restart()

        simulation.clock.after(HOUR // 2, everyone_restarts)
        return pausing(HOME, HOUR)(simulation)

    (report,) = for_seeds(reborn, [1])
    assert report.bytes_received == 100_000
    assert report.duration < 5 * HOUR + SECOND


@moves
def test_an_idle_client_that_comes_back_from_elsewhere(host: bool) -> None:
    def elsewhere(simulation: Simulation) -> Report:
        simulation.clock.after(HOUR // 2, lambda: simulation.clients[0].rebind(host=host))
        return pausing(HOME, HOUR)(simulation)

    (report,) = for_seeds(elsewhere, [1])
    assert report.duration < 5 * HOUR + SECOND


def test_a_client_idle_for_longer_than_a_user_continuation_lives_is_told_so() -> None:
    report = pausing(HOME, 25 * HOUR)(Simulation(1))
    assert (report.failure, report.bytes_received) == ("gone", 20_000)


@pytest.mark.slow
def test_a_download_that_sleeps_for_an_hour_in_the_middle() -> None:
    """The reader stops reading (a laptop is closed), and the continuations age meanwhile."""

    def asleep(simulation: Simulation) -> Report:
        def arrange(simulation: Simulation, client: ClientHost) -> None:
            simulation.clock.after(5 * SECOND, lambda: client.pause(HOUR))

        return download(simulation, BODY * 4, up=SLOW, down=SLOW, arrange=arrange, max_time=2 * HOUR)

    (report,) = for_seeds(asleep, [1])
    assert report.bytes_received == 4 * len(BODY)
    assert report.duration < HOUR + 100 * SECOND
