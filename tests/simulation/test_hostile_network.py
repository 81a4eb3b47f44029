"""Clients and fleets among enemies: datagrams that are made up, damaged, replayed, cut or meant for others.

The attacker sees all that passes and sends what it likes from any address, but it cannot stop what is on its way.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from random import Random

import pytest

from tests.simulation.watching import Watch
from tests.support.fleetkeys import IDENTITY, epoch
from tests.support.worlds import HOME, REQUEST, SPRAY, client, content, files
from trickles.client import ClientConfig, Policy
from trickles.handshake import certify, identity_public
from trickles.service import Refusal
from trickles.testing import (
    MILLISECOND,
    SECOND,
    TEN_MEGABIT,
    Fetch,
    Report,
    Simulation,
    for_seeds,
    run_transfer,
)
from trickles.testing.impairments import flip_bits
from trickles.testing.network import Node
from trickles.testing.packet import Packet
from trickles.wire.kinds import Kind
from trickles.wire.refusal import refusal_header

BODY = content(200_000)
ROUGH = replace(TEN_MEGABIT, loss=0.02, reorder=0.02)

Forge = Callable[[Random, list[bytes]], bytes]  # a datagram, made up or from those that were overheard

policies = pytest.mark.parametrize("config", [HOME, SPRAY], ids=["home", "spray"])


def noise(rng: Random, overheard: list[bytes]) -> bytes:
    """Random bytes of random length."""
    return rng.randbytes(rng.choice([0, 1, 2, 31, 32, 33, 48, 149, 200, 1_200, 1_472]))


def kinds(rng: Random, overheard: list[bytes]) -> bytes:
    """Random bytes behind each kind that there is."""
    return bytes((rng.choice(list(Kind)),)) + rng.randbytes(rng.choice([0, 3, 15, 31, 47, 148, 199, 1_199]))


def damaged(rng: Random, overheard: list[bytes]) -> bytes:
    """One that was overheard, with bits flipped."""
    return flip_bits(rng.choice(overheard), rng)


def cut(rng: Random, overheard: list[bytes]) -> bytes:
    """One that was overheard, cut short or with more behind it."""
    datagram = rng.choice(overheard)
    at = rng.randrange(len(datagram) + 1)
    return datagram[:at] + rng.randbytes(rng.choice([0, 0, 1, 20]))


def replayed(rng: Random, overheard: list[bytes]) -> bytes:
    """One that was overheard, as it was: perhaps before the path has delivered it, so that order is lost."""
    return rng.choice(overheard)


def relabelled(rng: Random, overheard: list[bytes]) -> bytes:
    """One that was overheard, as another kind."""
    return bytes((rng.choice(list(Kind)),)) + rng.choice(overheard)[1:]


def refusals(rng: Random, overheard: list[bytes]) -> bytes:
    """Refusals of recent requests, for every reason, without a tag and with a wrong one."""
    code, number = rng.choice(list(Refusal)), rng.randrange(200)
    return refusal_header(code, number, rng.randbytes(8)) + rng.choice([b"", rng.randbytes(16)])


def foreign_certificates(rng: Random, overheard: list[bytes]) -> bytes:
    """The certificate of another fleet."""
    return bytes((Kind.CERTIFICATE,)) + certify(epoch(1), bytes(32)).certificate


FORGERIES = [noise, kinds, damaged, cut, replayed, relabelled, refusals, foreign_certificates]


@dataclass(slots=True)
class Attack:
    """A download with an attacker who speaks once each `every` microseconds, to the client or to the fleet."""

    forge: Forge
    config: ClientConfig = HOME
    at_client: bool = True
    every: int = MILLISECOND
    watch: Watch = field(default_factory=Watch)

    def run(self, simulation: Simulation) -> Report:
        """Bytes must be exact, and the fleet must not be made to send too much."""
        self.watch = Watch()
        rng = simulation.random("attacker")

        def strike() -> None:
            overheard = self.watch.sent if self.at_client else self.watch.received
            if overheard:
                replica = rng.choice(simulation.replicas)
                target: Node = simulation.clients[0] if self.at_client else replica
                source, destination = simulation.clients[0].address, replica.address
                if self.at_client:
                    source, destination = destination, source
                datagram = self.forge(rng, overheard)
                target.receive(Packet(datagram, len(datagram), source, destination))  # the path's own capacity is left

        simulation.clock.every(self.every, strike)
        report = run_transfer(
            simulation,
            self.watch.over(files(BODY)),
            client(replace(self.config, identity=identity_public(IDENTITY))),
            Fetch(REQUEST, BODY),
            replicas=2,
            up=ROUGH,
            down=ROUGH,
            max_time=60 * SECOND,
        )
        self.watch.check()
        return report


@cache
def calm(policy: Policy) -> int:
    """How long the same downloads take together without an attacker."""
    config = {HOME.policy: HOME, SPRAY.policy: SPRAY}[policy]
    return sum(report.duration for report in for_seeds(Attack(noise, config, every=1 << 50).run, range(5)))


@pytest.mark.slow
@policies
@pytest.mark.parametrize("forge", FORGERIES)
def test_what_comes_in_the_fleets_name_harms_no_client(forge: Forge, config: ClientConfig) -> None:
    attacked = for_seeds(Attack(forge, config).run, range(5))
    assert sum(each.duration for each in attacked) < 2 * calm(config.policy)


@pytest.mark.slow
@policies
@pytest.mark.parametrize("forge", FORGERIES)
def test_what_comes_in_the_clients_name_harms_no_transfer(forge: Forge, config: ClientConfig) -> None:
    attacked = for_seeds(Attack(forge, config, at_client=False).run, range(5))
    assert sum(each.duration for each in attacked) < 2 * calm(config.policy)


@pytest.mark.slow
@policies
@pytest.mark.parametrize("forge", FORGERIES)
@pytest.mark.parametrize("at_client", [True, False], ids=["at the client", "at the fleet"])
def test_a_flood_of_forgeries_changes_no_byte(forge: Forge, config: ClientConfig, at_client: bool) -> None:
    for_seeds(Attack(forge, config, at_client, every=200).run, range(100, 103))
