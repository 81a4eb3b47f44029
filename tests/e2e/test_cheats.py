"""Clients that cheat, against a real replica on loopback: what they ask for costs it little and earns nothing."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.peer import OpenedPacket, Peer
from tests.support.processes import PATIENCE_SECONDS, Fleet
from tests.support.replica_program import IDENTITY
from trickles.handshake import certify
from trickles.keyring import Epoch
from trickles.limits import DEFAULT_LIMITS
from trickles.listener.claims import Claims
from trickles.wire.kinds import Kind, RequestFlag

pytestmark = pytest.mark.e2e

EPOCH = certify(Epoch(1, b"fleet".ljust(32, b".")), IDENTITY)
MEBIBYTE = 1 << 20


class Line:
    """A peer with a socket to one replica."""

    def __init__(self, replica: tuple[str, int]) -> None:
        self.peer = Peer("cheat")
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(PATIENCE_SECONDS)
        self._socket.connect(replica)

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def send(self, *datagrams: bytes) -> list[bytes]:
        """All answers: a replica answers in order, so the answer to a ping behind them is the last."""
        for datagram in datagrams:
            self._socket.send(datagram)
        self._socket.send(self.peer.seal(bytes(200), kind=Kind.PING))
        answers = []
        while (answer := self._socket.recv(1 << 16))[0] != Kind.PONG:
            answers.append(answer)
        return answers

    def ask(self, datagram: bytes) -> list[OpenedPacket]:
        """As `send`, taken in."""
        return self.peer.read(self.send(datagram))

    def connect(self) -> None:
        """The handshake and the first window."""
        self._socket.send(self.peer.hello(EPOCH, b"get 1000000\n", wanted=3600))
        self.peer.read([self._socket.recv(1 << 16) for _ in range(3)])
        assert len(self.ask(self.peer.restart(9))) == DEFAULT_LIMITS.initial_window


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with Fleet(1) as fleet:
        yield fleet


@pytest.fixture
def line(fleet: Fleet) -> Iterator[Line]:
    line = Line(fleet.addresses[0])
    line.connect()
    yield line
    line.close()


def peak_bytes(pid: int) -> int:
    """The most memory that a process ever had."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) << 10


def test_a_proof_of_two_episodes_far_apart_costs_no_memory_and_earns_nothing(fleet: Fleet, line: Line) -> None:
    peer = line.peer
    old, far = peer.blob, 29 + DEFAULT_LIMITS.max_restart_skip
    assert line.ask(peer.restart(far))
    runs = (peer.run(9, 19), peer.run(far, far + 1))
    before = peak_bytes(fleet.pids[0])
    for _ in range(5):
        assert line.send(peer.request(peer.spoken(9, far + 1, runs=runs), blob=old)) == []
    assert peak_bytes(fleet.pids[0]) - before < 16 * MEBIBYTE
    assert line.ask(peer.speak(far, far + 1))  # it goes on


def test_old_proof_is_used_up_however_many_restarts_came_after_it(line: Line) -> None:
    peer = line.peer
    old, body = peer.blob, peer.spoken(9, 19)
    assert len(line.ask(peer.request(body))) == 20
    answered = 0
    for _ in range(1000):  # one that comes too early is not answered
        answered += bool(line.ask(peer.restart(peer.top + 1000, flags=RequestFlag.CLEAN, wants=((0, 2_000),))))
    assert answered > 2 * Claims.MAX_RANGES
    assert line.send(*(peer.request(body, blob=old) for _ in range(50))) == []


def test_continuations_shown_in_turn_keep_one_window(line: Line) -> None:
    peer = line.peer
    first, body, earned = peer.blob, peer.spoken(19, 19), 0
    line.ask(peer.restart(100, flags=RequestFlag.CLEAN))
    blobs = first, peer.blob
    for attempt in range(400):
        flags = RequestFlag.RESTART | RequestFlag.CLEAN
        body = body._replace(flags=flags, restart_base=200 + 100 * attempt)
        if attempt & 1:
            at = peer.top
            body = body._replace(lo=at, hi=at, runs=peer.proof(100))
        else:
            body = body._replace(lo=19, hi=19, runs=peer.proof(9)[:1])
        earned += len(line.send(peer.request(body, blob=blobs[attempt & 1])))
    assert 0 < earned <= DEFAULT_LIMITS.idle_window + 40
