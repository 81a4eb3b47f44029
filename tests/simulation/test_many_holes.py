"""More holes in one window than a proof can show: only a new episode goes on, and it begins at once."""

from dataclasses import replace

import pytest

from tests.support.worlds import HOME, REQUEST, client, content, files
from trickles.testing import MILLISECOND, SECOND, TEN_MEGABIT, Fetch, Simulation

BODY = content(300_000)
WIRE = replace(TEN_MEGABIT, rate=None, queue_packets=None, delay=10 * MILLISECOND)


@pytest.mark.parametrize("holes", [33, 35, 38])
@pytest.mark.parametrize("first", [50, 54, 58])
def test_every_second_packet_of_a_window_is_lost_and_the_rest_comes_at_once(first: int, holes: int) -> None:
    """All claims are settled by the time that losses are declared, so nothing else will wake the client."""
    simulation = Simulation(1)
    replica = simulation.add_replica(files(BODY))
    up = simulation.add_link("up", WIRE)
    down = simulation.add_link("down", replace(WIRE, drop=frozenset(range(first, first + 2 * holes, 2))))
    engine = client(HOME)(simulation.entropy("client"), [replica.address])
    host = simulation.add_client(
        engine, Fetch(REQUEST, BODY), outgoing=[up], incoming=[down], batching=60 * MILLISECOND
    )
    assert simulation.run(max_time=60 * SECOND)
    assert host.failure is None
    assert host.finished_at is not None
    assert host.finished_at < 20 * SECOND
