"""An attacker repeats what the fleet has said, as often as it likes, while the replica at work dies in silence.

It holds no key and stops nothing. The client must notice the death as soon as without it.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.simulation.services import Lines, request
from tests.simulation.test_deferred import Slowly
from tests.simulation.test_uploads import ANSWER, Whole
from tests.support.toys import File
from tests.support.worlds import HOME, REQUEST, client, content, listener
from trickles.client import ClientConfig, Policy
from trickles.service import Service
from trickles.spool import MemorySpool
from trickles.testing import (
    MILLISECOND,
    SECOND,
    TEN_MEGABIT,
    Application,
    Birth,
    ClientHost,
    Conversation,
    Fetch,
    Report,
    Scenario,
    Simulation,
    for_seeds,
    kill_at,
    run_transfer,
)
from trickles.testing.packet import Packet
from trickles.wire.kinds import Kind

BODY, INPUT = content(300_000), content(200_000, 2)
DEATH = 150 * MILLISECOND
Use = Callable[[], tuple[Callable[[Birth], Service], Application]]


def download() -> tuple[Callable[[Birth], Service], Application]:
    return lambda birth: File(BODY), Fetch(REQUEST, BODY)


def slow_answers() -> tuple[Callable[[Birth], Service], Application]:
    """The second replica is quick; the first is at work when it dies."""
    talk = Conversation([request(number, 2_000) for number in range(2)])
    pace = {0: 10 * SECOND, 1: 10 * MILLISECOND}
    return lambda birth: Slowly(birth.after, pace[birth.index], [], [], Lines()), talk


def upload() -> tuple[Callable[[Birth], Service], Application]:
    return lambda birth: Whole(INPUT, []), Fetch(INPUT, ANSWER)


def run(use: Use, config: ClientConfig, every: int, kinds: frozenset[Kind]) -> Scenario:
    """A transfer whose first replica dies; each `every` microseconds the client hears an old datagram again."""

    def attacked(simulation: Simulation) -> Report:
        rng, heard = simulation.random("attacker"), list[bytes]()
        serve, application = use()

        def arrange(simulation: Simulation, host: ClientHost) -> None:
            kill_at(simulation, simulation.replicas[0], DEATH)
            receive = host.receive

            def overheard(packet: Packet) -> None:
                if packet.data[:1] and packet.data[0] in kinds:
                    heard.append(packet.data)
                receive(packet)

            host.receive = overheard  # type: ignore[method-assign]

            def strike() -> None:
                for datagram in rng.choices(heard, k=3) if heard else ():
                    source = rng.choice(simulation.replicas).address
                    receive(Packet(datagram, len(datagram), source, host.address))

            simulation.clock.every(every, strike)

        return run_transfer(
            simulation,
            listener(serve, spool=MemorySpool()),
            client(config),
            application,
            replicas=2,
            up=replace(TEN_MEGABIT, loss=0.01),
            down=replace(TEN_MEGABIT, loss=0.01),
            arrange=arrange,
            max_time=60 * SECOND,
        )

    return attacked


EVERYTHING = frozenset(Kind)
NEVER = 1 << 50


@pytest.mark.slow
@pytest.mark.parametrize("policy", [Policy.HOME, Policy.SPRAY, Policy.STRIPE])
@pytest.mark.parametrize("use", [download, slow_answers, upload])
@pytest.mark.parametrize("kinds", [EVERYTHING, EVERYTHING - {Kind.RESPONSE}], ids=["all", "control"])
def test_copies_hide_no_death(use: Use, policy: Policy, kinds: frozenset[Kind]) -> None:
    config = replace(HOME, policy=policy)
    calm, attacked = (
        sum(report.duration for report in for_seeds(run(use, config, every, kinds), range(4)))
        for every in (NEVER, MILLISECOND)
    )
    assert attacked < 1.25 * calm
