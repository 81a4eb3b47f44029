"""Whole runs: bytes survive all mishaps at once, every run replays from its seed, a failure names it."""

import doctest
from dataclasses import replace

import pytest

import trickles.testing
from tests.support.toy_engines import ToyClient, ToyListener
from trickles.testing import (
    MILLISECOND,
    SECOND,
    TEN_MEGABIT,
    Arrange,
    Blackhole,
    BurstLoss,
    ClientHost,
    Fate,
    Fetch,
    LinkSpec,
    ReplicaSpec,
    Report,
    SeedFailure,
    Simulation,
    assert_replayable,
    for_seeds,
    kill_at,
    kill_at_random,
    outage,
    replay,
    rolling_restart,
    run_scenario,
    run_transfer,
)

BODY = bytes(range(251)) * 400

NASTY = replace(
    TEN_MEGABIT,
    loss=BurstLoss(0.02),
    reorder=0.02,
    duplicate=0.02,
    corrupt=0.02,
    jitter=MILLISECOND,
    blackholes=(Blackhole(down=200 * MILLISECOND, first=300 * MILLISECOND, period=700 * MILLISECOND),),
)


def toys(simulation: Simulation, wire: LinkSpec, arrange: Arrange | None = None) -> Report:
    specs = [ReplicaSpec(skew=n * SECOND, service_time=n * 20, drop_caches=0.1 * n, backlog=50) for n in range(3)]
    return run_transfer(
        simulation,
        lambda birth: ToyListener(lambda request: BODY),
        lambda entropy, replicas: ToyClient(replicas),
        Fetch(b"x", BODY),
        replicas=specs,
        up=wire,
        down=wire,
        arrange=arrange,
        max_time=300 * SECOND,
    )


def everything_at_once(simulation: Simulation) -> Report:
    def arrange(simulation: Simulation, client: ClientHost) -> None:
        often, briefly = 150 * MILLISECOND, 100 * MILLISECOND
        kill_at_random(simulation, simulation.replicas, every=often, down=briefly, unreachable=True)
        simulation.clock.every(400 * MILLISECOND, client.rebind, first=SECOND)
        simulation.add_tcp(client.outgoing, client.incoming, start=MILLISECOND)

    return toys(simulation, NASTY, arrange)


def hopeless(simulation: Simulation) -> Report:
    return toys(simulation, replace(NASTY, loss=1.0))


def broken(simulation: Simulation) -> Report:
    simulation.world.journal.note(simulation.now, "here it breaks")
    raise ZeroDivisionError("a bug")


def test_bytes_survive_everything_at_once() -> None:
    reports = for_seeds(everything_at_once, range(10))
    assert all(report.completed and report.bytes_received == len(BODY) for report in reports)
    assert len({report.digest for report in reports}) == 10
    for happened in ("corrupted", "duplicated", "reordered"):
        assert sum(getattr(report.links["down"], happened) for report in reports) > 10
    for fate in (Fate.LOST, Fate.BLACKHOLE):
        assert sum(report.links["down"].dropped[fate] for report in reports) > 10
    assert sum(report.client.unreachable for report in reports) > 0


def test_the_example_in_the_documentation_works() -> None:
    assert doctest.testmod(trickles.testing) == (0, 9)


def test_a_run_replays_from_its_seed() -> None:
    first = assert_replayable(everything_at_once, 5)
    assert first.digest == run_scenario(everything_at_once, 5, record=True).digest
    assert first.scenario == "everything_at_once"
    assert first.seed == 5


def test_payloads_may_count_too() -> None:
    def digest(body: bytes, *, payloads: bool) -> str:
        simulation = Simulation(1, payloads=payloads)
        run_transfer(simulation, lambda _: ToyListener(lambda _: body), lambda _, where: ToyClient(where), Fetch(b"x"))
        return simulation.digest

    assert digest(b"one", payloads=False) == digest(b"two", payloads=False)
    assert digest(b"one", payloads=True) != digest(b"two", payloads=True)


def test_a_scenario_that_never_ends_names_its_seed() -> None:
    with pytest.raises(SeedFailure, match=r"hopeless failed with seed 7: not done after 300\.000 s") as caught:
        for_seeds(hopeless, [7, 8])
    assert "replay(hopeless, 7)" in str(caught.value)
    assert (caught.value.scenario, caught.value.seed) == ("hopeless", 7)


def test_a_scenario_that_raises_names_its_seed() -> None:
    with pytest.raises(SeedFailure, match="broken failed with seed 3: ZeroDivisionError: a bug") as caught:
        for_seeds(broken, [3])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_replay_shows_every_packet() -> None:
    lines: list[str] = []
    report = replay(everything_at_once, 5, lines.append)
    assert report.digest == run_scenario(everything_at_once, 5).digest
    offered = sum(link.offered for link in report.links.values())
    assert sum(" > " in line for line in lines) >= offered
    assert any(line.endswith("LOST") for line in lines)
    assert any("client 0 finished" in line for line in lines)
    assert lines[-1] == str(report)


def test_a_replay_of_a_bug_shows_what_came_before_it() -> None:
    lines: list[str] = []
    with pytest.raises(ZeroDivisionError):
        replay(broken, 3, lines.append)
    assert lines == ["    0.000000 here it breaks"]


def test_runs_that_differ_are_found_out() -> None:
    seeds = iter([1, 2])

    def capricious(simulation: Simulation) -> Report:
        return everything_at_once(Simulation(next(seeds)))

    with pytest.raises(SeedFailure, match="two runs differ"):
        assert_replayable(capricious, 1)


def test_an_outage_ends_and_a_kill_does_not() -> None:
    simulation = Simulation(1)
    first, second = (simulation.add_replica(lambda birth: ToyListener(lambda request: BODY)) for _ in range(2))
    outage(simulation, first, start=100, down=50)
    kill_at(simulation, second, 120)
    seen: list[tuple[bool, bool]] = []
    for when in (99, 110, 130, 160):
        simulation.clock.at(when, lambda _: seen.append((first.alive, second.alive)), None)
    simulation.run(max_time=1_000)
    assert seen == [(True, True), (False, True), (False, False), (True, False)]


def test_random_kills_spare_the_last() -> None:
    simulation = Simulation(1)
    replicas = [simulation.add_replica(lambda birth: ToyListener(lambda request: BODY)) for _ in range(3)]
    kill_at_random(simulation, replicas, every=10, down=45, survivors=1)
    living: list[int] = []
    simulation.clock.every(1, lambda: living.append(sum(replica.alive for replica in replicas)))
    simulation.run(max_time=1_000)
    assert set(living) == {1, 2, 3}
    assert all(replica.stats.lives > 3 for replica in replicas)


def test_a_rolling_restart_takes_them_in_turn() -> None:
    simulation = Simulation(1)
    replicas = [simulation.add_replica(lambda birth: ToyListener(lambda request: BODY)) for _ in range(3)]
    rolling_restart(simulation, replicas, every=10)
    simulation.run(max_time=45)
    assert [replica.stats.lives for replica in replicas] == [3, 2, 2]
    assert all(replica.alive for replica in replicas)


def test_a_run_without_clients_goes_to_its_limit() -> None:
    simulation = Simulation(1)
    simulation.clock.every(10, lambda: None)
    assert simulation.run(max_time=95) is False
    assert simulation.now == 95
