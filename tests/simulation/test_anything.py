"""Whatever may come: each seed draws a path, a fleet, what befalls it, a client and what it is used for.

What is drawn may be slow, but it is never hopeless: every transfer must come to its end with the right bytes.
"""

from collections.abc import Callable
from random import Random

import pytest

from tests.simulation.alternating import ANYWHERE, CARELESS, PLANNED, Keyrings
from tests.simulation.services import Lines, request
from tests.simulation.test_deferred import Slowly
from tests.simulation.test_uploads import ANSWER, Streaming, Whole
from tests.support.toys import File
from tests.support.worlds import REQUEST, client, content, listener
from trickles.client import ClientConfig, Policy
from trickles.limits import Limits
from trickles.service import Service
from trickles.spool import MemorySpool
from trickles.testing import (
    MILLISECOND,
    SECOND,
    Application,
    Birth,
    BurstLoss,
    ClientHost,
    Conversation,
    Fetch,
    Gilbert,
    LinkSpec,
    ReplicaSpec,
    Report,
    Simulation,
    for_seeds,
    kill_at_random,
    rolling_restart,
)
from trickles.testing.losses import Loss
from trickles.wire.kinds import Suite

Serve = Callable[[Birth], Service]
Use = tuple[Serve, Application]

LARGE, INPUT = content(200_000), content(100_000, 2)


def some_wire(rng: Random, delay: int) -> LinkSpec:
    """A path that lets most pass, most of the time."""
    losses: list[Loss] = [0.0, 0.0, 0.01, 0.05, BurstLoss(0.02, longest=3), Gilbert(0.005, 0.2, loss_bad=0.7)]
    return LinkSpec(
        rate=rng.choice([None, 2_000_000, 10_000_000, 100_000_000]),
        delay=delay,
        jitter=rng.choice([0, 0, delay // 10]),
        queue_packets=rng.choice([10, 25, 200]),
        mtu=rng.choice([None, 1_500, 1_400]),
        loss=rng.choice(losses),
        reorder=rng.choice([0.0, 0.0, 0.02]),
        reorder_delay=max(delay // 2, 100),
        duplicate=rng.choice([0.0, 0.0, 0.05]),
        corrupt=rng.choice([0.0, 0.0, 0.02]),
    )


def some_client(rng: Random, damaged: bool) -> ClientConfig:
    """Any policy and window; in clear only where nothing is damaged, for then nothing but UDP's checksum would tell."""
    return ClientConfig(
        policy=rng.choice(list(Policy)),
        first=rng.randrange(4),
        suite=Suite.SEALED if damaged else rng.choice(list(Suite)),
        probe_sizes=rng.choice([(), (1_472, 8_972)]),
        limits=Limits(receive_window_bytes=rng.choice([8_000, 60_000, 4 << 20])),
    )


def some_use(rng: Random) -> Use:
    """A download, an upload, or a conversation with a service that may take its time."""
    exchanges = [request(number, rng.choice([1, 10, 1_152, 5_000, 40_000])) for number in range(rng.choice([5, 30]))]
    talk = Conversation(exchanges, depth=rng.choice([1, 3]), think=rng.choice([0, 0, 200 * MILLISECOND]))
    upload = Fetch(INPUT, ANSWER)
    wrong: list[int] = []  # an answer to what was not written never comes
    uses: list[Use] = [
        (lambda birth: File(LARGE), Fetch(REQUEST, LARGE, read_rate=rng.choice([None, 300_000]))),
        (lambda birth: Lines(), talk),
        (lambda birth: Slowly(birth.after, rng.choice([0, 3_000, 100_000]), [], []), talk),
        (lambda birth: Whole(INPUT, wrong), upload),
        (lambda birth: Streaming(INPUT, wrong), upload),
    ]
    return rng.choice(uses)


def add_fleet(simulation: Simulation, rng: Random, serve: Serve) -> list[tuple[str, int]]:
    """Replicas with a spool in common, and the addresses that clients know them by."""
    keyrings, spool = Keyrings(rng.choice([PLANNED, CARELESS])), MemorySpool()
    factory = listener(serve, keyrings.of, spool=spool)
    for _ in range(rng.choice([1, 2, 2, 3, 4])):
        drops, skew = rng.choice([0.0, 0.0, 0.1]), rng.choice([0, rng.randrange(-5 * SECOND, 5 * SECOND)])
        simulation.add_replica(factory, ReplicaSpec(drop_caches=drops, skew=skew, service_time=rng.choice([0, 100])))
    if rng.random() < 0.3:
        keyrings.begin(simulation)
    if rng.random() < 0.3:
        simulation.add_anycast(ANYWHERE, spray=rng.choice(["random", "round_robin", "hash"]))
        return [ANYWHERE]
    return [replica.address for replica in simulation.replicas]


def befall(simulation: Simulation, rng: Random, host: ClientHost, round_trip: int) -> None:
    """What happens on the way: deaths that spare one replica, restarts, moves, or nothing."""
    pace = max(4 * round_trip, 50 * MILLISECOND) + 1_237  # in step with no timeout
    fate = rng.choice(["nothing", "kills", "seen kills", "restarts", "port", "address"])
    if "kills" in fate:
        kill_at_random(simulation, simulation.replicas, every=pace, down=pace // 2, unreachable=fate == "seen kills")
    elif fate == "restarts":
        rolling_restart(simulation, simulation.replicas, every=pace)
    elif fate != "nothing":
        wander(simulation, rng, lambda: host.rebind(host=fate == "address"), 10 * pace)


def wander(simulation: Simulation, rng: Random, move: Callable[[], None], pace: int) -> None:
    """Moves now and then, in step with no timeout."""

    def again() -> None:
        move()
        wander(simulation, rng, move, pace)

    simulation.clock.after(rng.randrange(pace, 2 * pace), again)


def anything(simulation: Simulation) -> Report:
    """One run; everything about it follows from the seed."""
    rng = simulation.random("plan")
    delay = rng.choice([100, 2_000, 15_000, 15_000, 150_000])
    up, down = some_wire(rng, delay), some_wire(rng, delay)
    serve, application = some_use(rng)
    addresses = add_fleet(simulation, rng, serve)
    host = simulation.add_client(
        client(some_client(rng, up.corrupt + down.corrupt > 0))(simulation.entropy("client"), addresses),
        application,
        outgoing=[simulation.add_link("up", up)],
        incoming=[simulation.add_link("down", down)],
        batching=rng.choice([None, 0, 500]),
    )
    befall(simulation, rng, host, 2 * delay)
    return simulation.run_transfer(host, max_time=600 * SECOND)


@pytest.mark.slow
def test_anything_that_may_come() -> None:
    for_seeds(anything, range(60))


@pytest.mark.parametrize("seed", [315, 4194, 17463, 203115, 203471])
def test_seeds_that_found_something_once(seed: int) -> None:
    for_seeds(anything, [seed])


@pytest.mark.slow
@pytest.mark.parametrize("block", range(8))
def test_much_more_that_may_come(block: int) -> None:
    for_seeds(anything, range(1_000 + 100 * block, 1_100 + 100 * block))
