"""Whatever befalls the stores, a commit brings the bytes that the client wrote, or a refusal: never anything else.

One client's input goes in pieces, in any order, repeated and cut anew, to replicas that use one directory or several.
Then logs and directories are lost, cut short, zeroed, mixed up, put back from copies, or belong to somebody else. At
each moment every replica is asked to take what the receipts stand for.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from itertools import repeat
from pathlib import Path as FilePath
from random import Random
from typing import TypeVar

import pytest

from tests.support.spools import Clock, copied, cut, logs, put_back
from trickles.continuation import Seals
from trickles.drivers.spooldir import SpoolDirectory
from trickles.errors import InputBusy, InputLost
from trickles.limits import Limits
from trickles.listener.context import ListenerContext
from trickles.listener.paths import Path
from trickles.listener.spooling import Spooler
from trickles.nonce import NonceSequence
from trickles.service import Spooled
from trickles.session import SessionKeys
from trickles.trickle import Episode
from trickles.wire.kinds import RequestFlag, Suite
from trickles.wire.piece import commit_body, parse_receipt_untrusted, piece_body
from trickles.wire.request import RequestBody
from trickles.wire.transport import TransportState

SOURCE = ("192.0.2.7", 40_000)
SEEDS = range(25)
Result = TypeVar("Result")


def client(chance: Random) -> Path:
    secret, nonce_key = chance.randbytes(32), chance.randbytes(16)
    session = SessionKeys(secret, Suite.SEALED)
    state = TransportState(Suite.SEALED, False, 0, bytes(16), 1200, Episode(9, 10, 100), secret, nonce_key)
    seals = Seals(session.connection, session.identity)
    return Path(state, session, NonceSequence(nonce_key), seals)


def patiently(ask: Callable[[], Result]) -> Result:
    """Ask for as long as the store is not done with looking."""
    for _ in range(1_000):
        try:
            return ask()
        except InputBusy:
            continue
    raise AssertionError("it looks for ever")


class Machines:
    """Replicas over directories, what the client has sent and what it holds receipts for."""

    def __init__(self, chance: Random, place: FilePath) -> None:
        self.chance = chance
        self.place = place
        self.clock = Clock()
        self.right = self.refused = 0
        self.roots = [self.place / f"spool{n}" for n in range(self.chance.randint(1, 3))]
        self.replicas = [self.replica() for _ in range(3)]
        self.me, self.other = client(self.chance), client(self.chance)
        self.content = self.chance.randbytes(self.chance.choice([3_000, 70_000, 200_000]))
        self.receipts: dict[tuple[int, int], int] = {}
        self.copies: list[tuple[FilePath, FilePath]] = []

    def replica(self) -> Spooler:
        spool = SpoolDirectory(self.chance.choice(self.roots), clock=self.clock)
        return Spooler(spool, ListenerContext(self.chance.randbytes, Limits(max_event_input_bytes=5_000)))

    def upload(self) -> None:
        """The whole input, cut in one way, in some order, some of it twice; the newest receipts count."""
        sizes = repeat(self.chance.choice([700, 1_041, 9_000, 65_000]))
        pieces = cut(self.content, sizes)
        self.receipts = {}
        self.chance.shuffle(pieces)
        pinned = self.chance.choice([None, *self.replicas])
        for offset, data in pieces + pieces[: self.chance.randint(0, 3)]:
            for owner, what in ((self.other, bytes(len(data))), (self.me, data)):
                spooler = pinned or self.chance.choice(self.replicas)
                start, stop, store = spooler.write(owner, piece_body(offset, what))
                if not isinstance(store, bytes):
                    return
                burst = spooler.receipt(owner, SOURCE, 1, start, stop, store)
                receipt, _, _ = parse_receipt_untrusted(b"".join(burst.buffers))
                if owner is self.me:
                    self.receipts[receipt.start, receipt.stop] = receipt.proof
            if self.chance.random() < 0.02:
                self.accident()

    def commit(self) -> None:
        """Ask every replica for what the receipts from the beginning on stand for."""
        stop = proof = 0
        for (start, end), each in sorted(self.receipts.items()):
            if start == stop:
                stop, proof = end, proof ^ each
        start = self.chance.randint(0, stop)
        body = RequestBody(RequestFlag.INPUT, 1200, 0, 0, 0, input_offset=start, input=commit_body(0, stop, proof))
        for spooler in self.replicas:
            if self.chance.random() < 0.3:
                spooler.clear()
            try:
                first, spooled = self.taken(spooler, body)
                assert self.content.startswith(first, start)
                assert (spooled.start, spooled.stop) == (start, stop)
                a = self.chance.randint(start, stop)
                assert patiently(lambda: spooled.read(a, stop)) == self.content[a:stop]  # noqa: B023 - at once
                assert patiently(lambda: spooled.read(start, stop)) == self.content[start:stop]  # noqa: B023
                self.right += 1
            except InputLost:
                self.refused += 1

    def taken(self, spooler: Spooler, body: RequestBody) -> tuple[bytes, Spooled]:
        """What a commit brings."""
        return patiently(lambda: spooler.input(self.me, body))

    def accident(self) -> None:
        kinds = [self.lose, self.cut_short, self.zero, self.overwrite, self.mix, self.backup, self.restore, self.vanish]
        kinds += [self.restart, self.stranger, self.touch, self.restore_one, *4 * [self.zero, self.overwrite, self.mix]]
        self.chance.choice(kinds)()
        self.clock.at += self.chance.choice([0.0, 0.5, 2.0])

    def a_log(self) -> FilePath | None:
        found = [log for root in self.roots if root.exists() for log in logs(root)]
        return self.chance.choice(found) if found else None

    def lose(self) -> None:
        if (log := self.a_log()) is not None:
            log.unlink()

    def cut_short(self) -> None:
        if (log := self.a_log()) is not None:
            os.truncate(log, self.chance.randint(0, log.stat().st_size))

    def zero(self) -> None:
        """As a crash of the machine leaves blocks that were never written."""
        if (log := self.a_log()) is not None:
            self.patch(log, bytes(self.chance.choice([1, 512, 4096, 70_000])))

    def overwrite(self) -> None:
        if (log := self.a_log()) is not None:
            self.patch(log, self.chance.randbytes(self.chance.choice([1, 30, 5_000])))

    def patch(self, log: FilePath, data: bytes) -> None:
        size = log.stat().st_size
        at = self.chance.randint(0, size)
        with log.open("r+b") as file:
            file.seek(at)
            file.write(data[: size - at])

    def mix(self) -> None:
        """One log's bytes in another's place."""
        one, other = self.a_log(), self.a_log()
        if one is not None and other is not None and one != other:
            shutil.copy2(one, other)

    def backup(self) -> None:
        root = self.chance.choice(self.roots)
        if root.exists():
            self.copies.append((root, copied(root, self.place / f"backup{len(self.copies)}")))

    def restore(self) -> None:
        """A directory as it was, in its own place or another's."""
        if self.copies and (root := self.chance.choice(self.roots)).exists():
            put_back(self.chance.choice(self.copies)[1], root)

    def restore_one(self) -> None:
        """One log as it was, or one that was lost."""
        if self.copies and (found := logs(self.copies[-1][1])):
            root, copy = self.copies[-1]
            log = self.chance.choice(found)
            target = root / log.relative_to(copy)
            if target.parent.exists():
                shutil.copy2(log, target)

    def vanish(self) -> None:
        root = self.chance.choice(self.roots)
        if root.exists():
            shutil.rmtree(root)

    def restart(self) -> None:
        self.replicas[self.chance.randrange(len(self.replicas))] = self.replica()

    def touch(self) -> None:
        path = self.chance.choice(self.roots) / "identity"
        if path.exists():
            path.chmod(0o640)
            path.chmod(0o600)

    def stranger(self) -> None:
        """Another machine's directory in the place of this one: the client has sent something there, too."""
        root = self.chance.choice(self.roots)
        if root.exists():
            shutil.rmtree(root)
            spool = SpoolDirectory(root, clock=self.clock)
            spool.write(self.me.session.identity, bytes(8), 0, self.content[:2_000])
            spool.write(self.other.session.identity, bytes(8), 0, bytes(5_000))


def run(seed: int) -> tuple[int, int]:
    chance = Random(seed)
    with tempfile.TemporaryDirectory() as place:
        machines = Machines(chance, FilePath(place))
        for _ in range(4):
            machines.upload()
            machines.commit()
            for _ in range(chance.randint(1, 4)):
                machines.accident()
                machines.commit()
        return machines.right, machines.refused


@pytest.mark.slow
def test_right_bytes_or_a_refusal() -> None:
    right = refused = 0
    for seed in SEEDS:
        try:
            counts = run(seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        right, refused = right + counts[0], refused + counts[1]
    assert right > 50
    assert refused > 50


@pytest.mark.slow
def test_right_bytes_or_a_refusal_for_long() -> None:
    for seed in range(1_000, 1_300):
        try:
            run(seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
