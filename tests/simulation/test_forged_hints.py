"""Signs of death that anybody can forge: ICMP, and refusals without a tag. They may not make a client work twice."""

from dataclasses import dataclass, replace
from functools import cache, partial

import pytest

from tests.simulation.test_uploads import ANSWER, Whole
from tests.support.fleetkeys import entropy
from tests.support.inside import parts
from tests.support.net import Net, fleet
from tests.support.toys import File, body
from tests.support.worlds import HOME, REQUEST, SPRAY, client, content, files, listener
from trickles.client import Client, ClientConfig
from trickles.client.fleet import MOST_REMEMBERED, SUSPECT_FOR, ReplicaSet
from trickles.service import Refusal
from trickles.spool import MemorySpool
from trickles.testing import MILLISECOND, SECOND, TEN_MEGABIT, Fetch, Report, Simulation, for_seeds, run_transfer
from trickles.wire.kinds import Address, Kind
from trickles.wire.refusal import refusal_header

A, B, C = (("10.0.0.1", 443), ("10.0.0.2", 443), ("10.0.0.3", 443))
BODY, INPUT = content(400_000), content(300_000, 2)
INTERVAL = 10 * MILLISECOND

policies = pytest.mark.parametrize("config", [HOME, SPRAY], ids=["home", "spray"])


@dataclass(slots=True)
class Forger:
    """A transfer, and an attacker who calls the replica of each request dead, as often as it can."""

    config: ClientConfig
    hints: bool = False
    icmp: bool = False
    upload: bool = False
    replicas: int = 2
    repeats: int = 0

    def run(self, simulation: Simulation) -> Report:
        """One transfer on a clean path of 10 Mbit/s."""

        def arrange(simulation: Simulation, host: object) -> None:
            engine = simulation.clients[0].engine
            assert isinstance(engine, Client)
            send, rng, clock = engine.datagrams_to_send, simulation.random("forger"), simulation.clock
            addresses = [each.address for each in simulation.replicas]

            def overheard(*, now: int) -> list[tuple[bytes, Address]]:
                sent = send(now=now)
                for datagram, replica in sent:
                    if datagram[0] == Kind.REQUEST and self.hints:
                        number = int.from_bytes(datagram[129:133], "big")
                        hint = refusal_header(Refusal.EPOCH, number, rng.randbytes(8))
                        clock.after(100, partial(strike, hint, replica))
                return sent

            def strike(hint: bytes, source: Address) -> None:
                engine.receive_datagram(hint, source, now=clock.now)

            def complain() -> None:
                for address in addresses if self.icmp else ():
                    engine.receive_unreachable(address, now=clock.now)

            engine.datagrams_to_send = overheard  # type: ignore[method-assign]
            clock.every(MILLISECOND, complain)

        serve = listener(Whole(INPUT, []), spool=MemorySpool()) if self.upload else files(BODY)
        application = Fetch(INPUT, ANSWER) if self.upload else Fetch(REQUEST, BODY)
        wire = replace(TEN_MEGABIT, queue_packets=1_000)
        report = run_transfer(
            simulation,
            serve,
            client(self.config),
            application,
            replicas=self.replicas,
            up=wire,
            down=wire,
            arrange=arrange,
            max_time=60 * SECOND,
        )
        engine = simulation.clients[0].engine
        assert isinstance(engine, Client)
        self.repeats += int(engine.statistics().get("repeats", 0))
        return report


@cache
def calm(policy: str, upload: bool, replicas: int) -> int:
    config = HOME if policy == HOME.policy else SPRAY
    return sum(each.duration for each in for_seeds(Forger(config, upload=upload, replicas=replicas).run, range(2)))


@pytest.mark.slow
@policies
@pytest.mark.parametrize("upload", [False, True], ids=["download", "upload"])
@pytest.mark.parametrize("replicas", [1, 2, 8])
@pytest.mark.parametrize(("hints", "icmp"), [(True, False), (False, True), (True, True)], ids=["hints", "icmp", "both"])
def test_forged_signs_of_death_cost_little(
    config: ClientConfig, upload: bool, replicas: int, hints: bool, icmp: bool
) -> None:
    forger = Forger(config, hints, icmp, upload, replicas)
    attacked = sum(each.duration for each in for_seeds(forger.run, range(2)))
    assert attacked < 1.25 * calm(config.policy, upload, replicas)


def test_one_sign_counts_in_each_interval_and_ever_fewer_once_they_prove_false() -> None:
    fleet = ReplicaSet([A, B])
    assert [fleet.heeds(A, now, INTERVAL) for now in (0, 1, INTERVAL - 1, INTERVAL)] == [True, False, False, True]
    assert fleet.heeds(B, 1, INTERVAL)  # each replica for itself
    counted = 0
    for now in range(2 * INTERVAL, 10 * SECOND, MILLISECOND):
        if fleet.heeds(A, now, INTERVAL):
            counted += 1
            fleet.false_alarm(now, INTERVAL)
    assert counted < 20
    assert not fleet.heeds(A, 10 * SECOND, INTERVAL)
    assert not fleet.heeds(B, 10 * SECOND, INTERVAL)
    assert fleet.heeds(A, 10 * SECOND + SUSPECT_FOR, INTERVAL)


def test_who_leaves_the_list_is_forgotten() -> None:
    fleet = ReplicaSet([A, B])
    for at in range(300):
        fleet.replace([(f"10.1.0.{at}", 443)])
        assert fleet.heeds(fleet.home, 0, INTERVAL)
    assert len(fleet._warned_at) <= MOST_REMEMBERED + 1


def test_forged_hints_bring_an_authentic_refusal_no_nearer_to_the_end() -> None:
    """Hints were counted with the refusals of which eight end a transfer."""
    net = Net(fleet(File(body(100_000)), 1), config=HOME)
    net.run(until_us=40_000)
    claim = next(iter(parts(net.client).requests))
    for now in range(40_000, 4 * SECOND, 100_000):
        hint = refusal_header(Refusal.EPOCH, claim.newest, bytes(8))
        net.client.receive_datagram(hint, A, now=now)
    assert claim.hints > 0
    assert claim.refusals == 0


def test_a_hello_is_sent_again_once_for_each_datagram_and_replica() -> None:
    made = Client([A, B, C], entropy=entropy(), config=HOME)
    made.connect(now=0)
    made.datagrams_to_send(now=0)
    sent = 0
    for now in range(0, SECOND, MILLISECOND):
        for replica in (A, B, C):
            made.receive_unreachable(replica, now=now)
        sent += len(made.datagrams_to_send(now=now))
        made.handle_timeout(now=now)
    assert sent <= 8
