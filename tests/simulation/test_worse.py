"""Whatever may come, and worse: two things befall a run at once, replicas refuse, the path is gone now and then.

As in `test_anything` nothing that is drawn is hopeless, and every transfer must come to its end with the right bytes.
"""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from tests.simulation.services import Lines, Refuser, request
from tests.simulation.test_anything import Use, add_fleet, befall, some_client, some_use, some_wire, wander
from tests.simulation.test_deferred import Slowly
from tests.support.worlds import client
from trickles.service import Event, Refusal, Service
from trickles.testing import (
    MILLISECOND,
    SECOND,
    Birth,
    Blackhole,
    Conversation,
    LinkSpec,
    Report,
    Simulation,
    for_seeds,
)

MOODS = [Refusal.BUSY, Refusal.NOT_HERE, Refusal.EPOCH]


def worse_wire(rng: Random, delay: int) -> LinkSpec:
    """A path that may be gone for a while, again and again."""
    gone = Blackhole(rng.randrange(20, 2_000) * MILLISECOND, rng.randrange(3 * SECOND), rng.randrange(4, 9) * SECOND)
    return replace(some_wire(rng, delay), blackholes=rng.choice([(), (), (gone,)]))


def worse_use(rng: Random, handler: int) -> Use:
    """One with pauses longer than a continuation lives, or with handlers that take so long, or any."""
    exchanges = [request(number, rng.choice([1, 1_152, 40_000])) for number in range(4)]
    naps = Conversation(exchanges, think=rng.choice([8, 31, 70]) * SECOND)
    talk = Conversation(exchanges, depth=rng.choice([1, 4]))
    if handler:
        return lambda birth: Slowly(birth.after, handler, [], []), talk
    return rng.choice([(lambda birth: Lines(), naps), some_use(rng), some_use(rng)])


def moody(serve: Callable[[Birth], Service], rng: Random) -> Callable[[Birth], Service]:
    """Replicas that refuse now and then what they would answer a moment later."""
    often = rng.choice([0.0, 0.03, 0.2])

    def rule(event: Event, number: int) -> Refusal | None:
        refuses = rng.random() < often and not event.early
        return rng.choice(MOODS) if refuses else None

    return lambda birth: Refuser(serve(birth), rule)


def worse(simulation: Simulation) -> Report:
    """One run; everything about it follows from the seed."""
    rng = simulation.random("worse plan")
    delay = rng.choice([100, 2_000, 15_000, 150_000])
    up, down = worse_wire(rng, delay), worse_wire(rng, delay)
    handler = rng.choice([0, 0, 0, 30, 300, 1_500]) * MILLISECOND
    serve, application = worse_use(rng, handler)
    addresses = add_fleet(simulation, rng, moody(serve, simulation.random("moods")))
    host = simulation.add_client(
        client(some_client(rng, up.corrupt + down.corrupt > 0))(simulation.entropy("client"), addresses),
        application,
        outgoing=[simulation.add_link("up", up)],
        incoming=[simulation.add_link("down", down)],
        batching=rng.choice([None, 0, 500]),
    )
    if handler:  # replicas that die before a handler ends never answer: here they live, and the client moves
        wander(simulation, rng, lambda: host.rebind(host=True), rng.choice([4, 20]) * handler + 8 * delay)
    else:
        befall(simulation, rng, host, 2 * delay)
        befall(simulation, rng, host, 2 * delay)
    return simulation.run_transfer(host, max_time=1_200 * SECOND)


@pytest.mark.slow
def test_worse_that_may_come() -> None:
    for_seeds(worse, range(20))


@pytest.mark.parametrize("seed", [101, 2034])
def test_seeds_that_found_something_once(seed: int) -> None:
    for_seeds(worse, [seed])


@pytest.mark.slow
@pytest.mark.parametrize("block", range(4))
def test_much_worse_that_may_come(block: int) -> None:
    for_seeds(worse, range(1_000 + 100 * block, 1_100 + 100 * block))
