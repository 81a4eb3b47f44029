"""Other people's traffic on the same bottleneck: nobody starves, in either direction.

How fair a share is, exactly, is the subject of test_congestion.
"""

from dataclasses import replace

import pytest

from tests.support.worlds import HOME, REQUEST, SPRAY, client, content, download, files
from trickles.client import ClientConfig
from trickles.testing import (
    SECOND,
    TEN_MEGABIT,
    ClientHost,
    Fetch,
    Report,
    Simulation,
    for_seeds,
)

BODY = content(3_000_000)

policies = pytest.mark.parametrize("config", [HOME, SPRAY], ids=["home", "spray"])


@pytest.mark.slow
@policies
@pytest.mark.parametrize("start", [0, 1])
def test_a_download_beside_a_tcp_flow(config: ClientConfig, start: int) -> None:
    shares: list[float] = []

    def beside(simulation: Simulation) -> Report:
        def arrange(simulation: Simulation, client: ClientHost) -> None:
            simulation.add_tcp(client.incoming, client.outgoing, start=start * SECOND)

        report = download(simulation, BODY, config=config, arrange=arrange)
        tcp = simulation.flows[0].curve.rate(start * SECOND, report.duration)
        shares.append(report.goodput / (report.goodput + tcp))
        return report

    (report,) = for_seeds(beside, [1])
    assert report.goodput > 2_500_000
    assert 0.2 < shares[0] < 0.8


@pytest.mark.slow
def test_a_download_beside_an_upload_of_tcp() -> None:
    """Requests queue behind TCP's data, and some of them are lost there."""

    def against(simulation: Simulation) -> Report:
        def arrange(simulation: Simulation, client: ClientHost) -> None:
            simulation.add_tcp(client.outgoing, client.incoming)

        return download(simulation, BODY[:2_000_000], arrange=arrange)

    (report,) = for_seeds(against, [1])
    assert report.goodput > 2_000_000


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 8])
def test_downloads_share_a_bottleneck(count: int) -> None:
    body = BODY[: len(BODY) // count]
    simulation = Simulation(1)
    for _ in range(2):
        simulation.add_replica(files(body))
    up, down = simulation.add_link("up", TEN_MEGABIT), simulation.add_link("down", TEN_MEGABIT)
    addresses = [replica.address for replica in simulation.replicas]
    for index in range(count):
        engine = client(HOME)(simulation.entropy(f"client {index}"), addresses)
        simulation.add_client(engine, Fetch(REQUEST, body), outgoing=[up], incoming=[down], start=index * SECOND // 10)
    assert simulation.run(max_time=60 * SECOND)
    assert [each.failure for each in simulation.clients] == [None] * count
    finished = [each.finished_at or 0 for each in simulation.clients]
    assert max(finished) < 5 * SECOND  # 3 MB at 10 Mbit/s take 2.5 s


@pytest.mark.slow
def test_many_small_downloads_come_through_beside_a_greedy_one() -> None:
    simulation = Simulation(1)
    simulation.add_replica(files(BODY[:10_000]))
    wire = replace(TEN_MEGABIT, queue_packets=100)
    up, down = simulation.add_link("up", wire), simulation.add_link("down", wire)
    simulation.add_tcp([down], [up])
    for index in range(40):
        engine = client(HOME)(simulation.entropy(f"client {index}"), [simulation.replicas[0].address])
        application = Fetch(REQUEST, BODY[:10_000])
        simulation.add_client(engine, application, outgoing=[up], incoming=[down], start=(index + 10) * SECOND // 5)
    assert simulation.run(max_time=60 * SECOND)
    times = sorted((each.finished_at or 0) - each.started_at for each in simulation.clients)
    assert all(each.failure is None for each in simulation.clients)
    assert times[20] < SECOND
    assert times[-1] < 5 * SECOND
