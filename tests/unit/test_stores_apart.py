"""Replicas that share keys and not a store: connections carry the tag of the store where they began."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.support.desk import ROUND_TRIP, Desk, datagrams
from tests.support.fleetkeys import entropy, ring
from tests.support.peer import SOURCE
from tests.support.toys import File, Seen
from trickles.limits import DEFAULT_LIMITS, SECOND
from trickles.listener import Listener
from trickles.stores import STORE_ID_BYTES, store_name, store_tag
from trickleweb.cli import main
from trickleweb.cli.rundir import FLEET, RunDir
from trickleweb.ledger import New
from trickleweb.stores import MemoryLedger, SharedMemory
from trickleweb.stores.ledger_file import LedgerFile

HERE, THERE = bytes(32), bytes([1]) * 32


class Two(Desk):
    """A peer and two listeners with one keyring; `seen` are the events of each."""

    def __init__(self, first: bytes, second: bytes) -> None:
        super().__init__()
        self.seen = [Seen(File(bytes(400_000)).handle) for _ in range(2)]
        self.listeners = [
            Listener(ring(), seen, entropy=entropy(number), store_id=store_id)
            for number, (seen, store_id) in enumerate(zip(self.seen, (first, second), strict=True))
        ]
        self.listener = self.listeners[0]
        self.spoken = 0
        self.source = SOURCE

    def next_numbers(self) -> tuple[int, int]:
        """Two numbers that the peer has received, and has not spoken for."""
        assert self.peer.transport is not None
        start = max(self.spoken, self.peer.transport.episode.base)
        self.spoken = start + 2
        return start, start + 2

    def speak(self, index: int) -> None:
        """The next request goes to that listener."""
        self.listener = self.listeners[index]
        self.now += ROUND_TRIP
        assert self.ask(self.peer.speak(*self.next_numbers()))

    def restart(self, index: int) -> None:
        """A restart goes there, from where the peer is now."""
        self.listener = self.listeners[index]
        self.now += 20 * ROUND_TRIP
        datagram = self.peer.restart(self.peer_bound())
        assert self.peer.read(datagrams(self.listener, datagram, self.source, now=self.now))

    def told(self, index: int) -> bool:
        """What the last event at that listener said."""
        return self.seen[index].events[-1].other_store


@pytest.mark.parametrize("stores", [(HERE, HERE), (HERE, THERE), (HERE, b""), (b"", THERE), (b"", b"")])
def test_a_replica_knows_connections_that_began_where_another_store_is_shared(stores: tuple[bytes, bytes]) -> None:
    desk, other = Two(*stores), stores[0] != stores[1]
    desk.connect()
    assert desk.told(0) is False
    for index, expected in ((1, other), (0, False), (1, other)):
        desk.speak(index)
        assert desk.told(index) is expected


@pytest.mark.parametrize("moved", [False, True], ids=["aged", "moved"])
def test_the_tag_outlives_restarts_at_other_replicas_ages_and_moves(moved: bool) -> None:
    desk = Two(HERE, THERE)
    desk.greet()
    desk.restart(1)  # the first one, which changes the nonce key, is answered by the other replica
    assert desk.told(1) is True
    desk.now += ROUND_TRIP if moved else DEFAULT_LIMITS.continuation_life + SECOND
    desk.source = ("192.0.2.99", 5) if moved else SOURCE
    [refusal] = desk.send(desk.peer.speak(*desk.next_numbers()), desk.source)
    assert desk.peer.refusal(refusal).transport is not None  # a fresh one, sealed by the other replica
    for index in (1, 0):
        desk.restart(index)
        assert desk.told(index) is (index == 1)
    assert [len(seen.events) for seen in desk.seen] == [2, 2]


def test_ids_are_as_long_as_they_should_be_and_tags_differ() -> None:
    ids = [MemoryLedger().store_id for _ in range(100)]
    assert {len(each) for each in ids} == {STORE_ID_BYTES}
    assert len({store_tag(each) for each in ids}) == 100
    assert MemoryLedger(shared := SharedMemory(), "one").store_id == MemoryLedger(shared, "two").store_id
    assert (store_tag(b""), store_name(b"")) == (bytes(4), "00000000")


def test_a_ledgers_identity_is_that_of_its_file(tmp_path: Path) -> None:
    one, other = LedgerFile(tmp_path / "ledger"), LedgerFile(tmp_path / "ledger")
    known = one.store_id
    assert other.store_id == known
    assert len(known) == STORE_ID_BYTES
    assert one.claim(b"key", now=1) == New()
    for each in (one, other):
        each.close()
    again = LedgerFile(tmp_path / "ledger")
    assert again.store_id == known
    again.close()
    copies = [tmp_path / "a copy", tmp_path / "put back"]
    shutil.copy2(tmp_path / "ledger", copies[0])
    (tmp_path / "ledger").rename(tmp_path / "moved")  # the same file
    shutil.copy2(tmp_path / "moved", copies[1])
    found = {}
    for path in (tmp_path / "moved", *copies, tmp_path / "new"):
        ledger = LedgerFile(path)
        found[path.name] = ledger.store_id
        ledger.close()
    assert found["moved"] == known
    assert len(set(found.values())) == 4


def test_a_ledger_that_was_lost_is_another_one(tmp_path: Path) -> None:
    first = LedgerFile(tmp_path / "ledger")
    known = first.store_id
    first.close()
    (tmp_path / "kept").hardlink_to(tmp_path / "ledger")  # or its inode might be used again
    (tmp_path / "ledger").unlink()
    second = LedgerFile(tmp_path / "ledger")
    assert second.store_id != known
    second.close()


@pytest.mark.parametrize(
    ("stores", "refused", "said"),
    [
        (("aa", "aa"), 0, []),
        (("aa", "bb"), 0, ["replicas have different ledgers (replica-0: aa; replica-1: bb): give all the same"]),
        (("aa", "aa"), 3, ["3 unsafe requests refused: replicas of this fleet have another ledger than aa"]),
    ],
)
def test_status_tells_of_ledgers_that_are_not_shared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], stores: tuple[str, str], refused: int, said: list[str]
) -> None:
    run_dir = RunDir(tmp_path)
    run_dir.note(FLEET, {"pid": os.getpid(), "started": 0, "url": None, "udp": ["a:1", "a:2"], "restarts": {}})
    for index, store in enumerate(stores):
        run_dir.note(f"replica-{index}", {"ledger": {"store": store, "refused_other": refused if index else 0}})
    assert main(["status", "--run-dir", str(tmp_path)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("WARNING: ")]
    assert [line.removeprefix("WARNING: ")[: len(text)] for line, text in zip(lines, said, strict=True)] == said
    assert main(["status", "--run-dir", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["processes"][1]["figures"]["ledger"]["store"] == stores[1]
