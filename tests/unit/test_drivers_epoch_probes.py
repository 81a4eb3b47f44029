"""Asking replicas for their epochs: answers of real listeners, of forgers, and of nobody."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.support.desk import datagrams
from tests.support.fleetkeys import WALL, entropy, ring
from tests.support.limits import TEST_LIMITS
from tests.support.loopfleet import LoopFleet
from tests.support.onloop import on_loop
from tests.support.toys import File
from trickles.cli import main
from trickles.drivers.addresses import shown
from trickles.drivers.epoch_probes import EpochProbes, EpochReport, ask_replicas
from trickles.drivers.keystore import save_keyring
from trickles.keyring import Keyring
from trickles.listener import Listener
from trickles.service import Event, Reply, Service

SECRET = bytes(range(32))
SOURCE = ("192.0.2.7", 4711)
Captured = pytest.CaptureFixture[str]


class Untouched:
    """A service that must not hear of probes."""

    def handle(self, event: Event) -> Reply:
        raise AssertionError("a probe has reached the service")


def listener(keyring: Keyring, service: Service | None = None) -> Listener:
    return Listener(keyring, service or Untouched(), entropy=entropy(), limits=TEST_LIMITS)


def asked(probes: EpochProbes, replica: Listener) -> EpochReport:
    for request in list(probes.requests(entropy(), WALL)):
        for answer in datagrams(replica, request, SOURCE):
            assert len(answer) <= len(request)
            probes.receive(answer)
    return probes.report(SOURCE)


def test_a_replica_shows_which_epochs_it_holds_and_its_service_is_not_called() -> None:
    replica = listener(ring(1, 2))
    assert asked(EpochProbes(ring(1, 2, 3), SECRET), replica) == EpochReport("192.0.2.7:4711", (1, 2), (3,))
    assert {name: replica.counters[name] for name in replica.counters} == {"refused.address": 2, "refused.epoch": 1}


def test_another_fleets_epoch_of_the_same_id_is_neither_held_nor_lacking() -> None:
    probes = EpochProbes(ring(1, 2), SECRET)
    assert asked(probes, listener(ring(1, fleet="another"))) == EpochReport("192.0.2.7:4711", (), (2,))
    assert [each.identifier for each in probes.open] == [1]


def test_only_a_holder_of_the_epoch_can_say_that_it_holds_it() -> None:
    probes, copied = EpochProbes(ring(1), SECRET), EpochProbes(ring(1), bytes(32))
    (request,) = copied.requests(entropy(), WALL)
    (answer,) = datagrams(listener(ring(1)), request, SOURCE)
    list(probes.requests(entropy(), WALL))
    for forged in (answer, answer[:-1] + b"\0", answer[:32], b"", b"\0" * 200):
        probes.receive(forged)
    assert probes.report(SOURCE) == EpochReport("192.0.2.7:4711", (), ())
    copied.receive(answer)
    assert copied.report(SOURCE).held == (1,)


def test_a_forged_hint_does_not_outlast_the_replicas_own_answer() -> None:
    probes = EpochProbes(ring(1), SECRET)
    (request,) = probes.requests(entropy(), WALL)
    (hint,) = datagrams(listener(ring(2)), request, SOURCE)
    (answer,) = datagrams(listener(ring(1)), request, SOURCE)
    for each in (hint, answer, hint):
        probes.receive(each)
    assert probes.report(SOURCE) == EpochReport("192.0.2.7:4711", (1,), ())


def test_a_lost_answer_is_asked_for_again() -> None:
    probes, replica = EpochProbes(ring(1), SECRET), listener(ring(1))
    for request in list(probes.requests(entropy(), WALL)):
        datagrams(replica, request, SOURCE)  # lost
    assert asked(probes, replica).held == (1,)


def verified(capsys: Captured, *words: str) -> tuple[int, list[str], str]:
    status = main(["keys", "verify", *words])
    out, err = capsys.readouterr()
    return status, out.splitlines(), err


@on_loop
async def test_replicas_at_sockets_are_asked_at_once() -> None:
    with LoopFleet(2, File(b""), keyring=ring(1, 2)) as fleet:
        places = fleet.addresses
        reports = await asyncio.to_thread(ask_replicas, ring(1, 2, 3), places)
        assert reports == [EpochReport(shown(each), (1, 2), (3,)) for each in places]
        fleet.rekey(ring(1, 2, 3))
        fleet.kill(1)
        reports = await asyncio.to_thread(ask_replicas, ring(1, 2, 3), places, tries=2, patience=0.05)
        assert reports == [EpochReport(shown(places[0]), (1, 2, 3), ()), EpochReport(shown(places[1]), (), ())]


def test_the_command_names_replicas_without_the_newest_epoch(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_keyring(ring(1, 2), tmp_path / "ring")
    reports = {"127.0.0.1:1": ((1, 2), ()), "127.0.0.1:2": ((1,), (2,)), "127.0.0.1:3": ((), ())}
    monkeypatch.setattr(
        "trickles.cli.verify_keys.ask_replicas",
        lambda _ring, places: [EpochReport(shown(each), *reports[shown(each)]) for each in places],
    )
    words = [str(tmp_path / "ring"), *(f"--replica={each}" for each in reports)]
    assert verified(capsys, *words[:2]) == (0, ["127.0.0.1:1  holds 2 of 2 epochs"], "")
    status, lines, error = verified(capsys, *words)
    assert (status, lines[1:]) == (1, ["127.0.0.1:2  lacks 00000002 (the newest)", "127.0.0.1:3  does not answer"])
    assert "2 of 3 replicas do not hold these epochs, 1 of them lack the newest, 1 do not answer" in error
    status, lines, _ = verified(capsys, *words, "--json")
    found = json.loads("\n".join(lines))
    assert (status, found["newest"]) == (1, "00000002")
    assert found["replicas"][1] == {"replica": "127.0.0.1:2", "holds": ["00000001"], "lacks": ["00000002"]}


def test_the_command_wants_replicas(tmp_path: Path, capsys: Captured) -> None:
    save_keyring(ring(1), tmp_path / "ring")
    status, lines, error = verified(capsys, str(tmp_path / "ring"))
    assert (status, lines) == (1, [])
    assert "no replicas" in error
