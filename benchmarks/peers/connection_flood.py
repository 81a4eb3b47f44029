"""Opens connections to a replica on loopback by hand and leaves them: a hello, the first request, and no more.

Prints {"connections": N, "seconds": S} at each checkpoint, and {"ended": true, ...} at last; --seconds ends it early.
"""

import argparse
import select
import socket
import time

from benchmarks.peers.contract import tell
from benchmarks.peers.trickles_stream import IDENTITY, REQUEST
from benchmarks.support.net import LOOPBACK
from trickles.errors import BadPacket
from trickles.handshake import identity_public
from trickles.tools.attacks.flooding import connection_of
from trickles.tools.attacks.live import LiveTarget
from trickles.tools.peer import Peer
from trickles.wire.hello import NO_COOKIE, Certificate
from trickles.wire.kinds import Kind, RequestFlag
from trickles.wire.response import HEADER

AT_ONCE = 128  # connections on their way
OUTPUT_BYTES = 1000  # that each wants: one packet
PATIENCE_SECONDS = 0.25  # then those on their way count as lost
GREETING_PACKETS = 3  # numbers below answer the hello
MOST_BYTES = 1 << 16
BUFFER_BYTES = 4 << 20


class Flood:
    """One socket, and the connections that are on their way through it."""

    def __init__(self, sock: socket.socket, certificate: Certificate, seed: str) -> None:
        self.opened = self.lost = 0
        self._sock = sock
        self._certificate = certificate
        self._seed = seed
        self._made = 0
        self._cookie = NO_COOKIE
        self._greeted: dict[bytes, Peer] = {}  # said hello
        self._asked: dict[bytes, Peer] = {}  # have asked, and wait for the answer

    def step(self) -> None:
        """Begin as many as there is room for, and take what came."""
        while len(self._greeted) + len(self._asked) < AT_ONCE:
            peer = Peer(f"{self._seed}/{self._made}")
            self._made += 1
            self._greeted[peer.session.connection] = peer
            self._hello(peer)
        if not select.select([self._sock], [], [], PATIENCE_SECONDS)[0]:
            self.lost += len(self._greeted) + len(self._asked)
            self._greeted.clear()
            self._asked.clear()
            return
        for _ in range(AT_ONCE):
            try:
                self._take(self._sock.recv(MOST_BYTES))
            except BlockingIOError:
                return

    def _hello(self, peer: Peer) -> None:
        self._send(peer.hello(self._certificate, REQUEST, wanted=OUTPUT_BYTES, cookie=self._cookie))

    def _take(self, answer: bytes) -> None:
        if answer[0] == Kind.COOKIE:
            self._cookie = answer[1:]
            if self._greeted:  # one hello was in vain; whose, nobody says
                oldest = next(iter(self._greeted))
                again = self._greeted[oldest] = self._greeted.pop(oldest)
                self._hello(again)
            return
        connection = connection_of(answer)
        peer = self._greeted.get(connection)
        if peer is not None:
            self._ask(connection, peer, answer)
        elif connection in self._asked and packet_number(answer) >= GREETING_PACKETS:
            del self._asked[connection]
            self.opened += 1

    def _ask(self, connection: bytes, peer: Peer, answer: bytes) -> None:
        try:
            peer.receive(answer)
        except BadPacket:
            return
        del self._greeted[connection]
        self._asked[connection] = peer
        wants = ((OUTPUT_BYTES, 2 * OUTPUT_BYTES),)
        self._send(peer.restart(peer.bound(), flags=RequestFlag.CLEAN, wants=wants))

    def _send(self, datagram: bytes) -> None:
        try:
            self._sock.send(datagram)
        except BlockingIOError:
            select.select([], [self._sock], [], PATIENCE_SECONDS)


def packet_number(answer: bytes) -> int:
    """The number of a response packet."""
    number: int = HEADER.unpack_from(answer)[4]
    return number


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--connect", type=int, required=True, help="port on loopback")
    options.add_argument("--checkpoints", type=int, nargs="+", required=True, help="ascending numbers of connections")
    options.add_argument("--seconds", type=float, default=600.0)
    arguments = options.parse_args()
    address, identity = (LOOPBACK, arguments.connect), identity_public(IDENTITY)
    with LiveTarget(address, identity=identity, trust=lambda _: False, rate=1000, seconds=30.0) as target:
        certificate = target.certificate
    began = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        sock.connect(address)
        sock.setblocking(False)
        flood = Flood(sock, certificate, str(time.time_ns()))
        for checkpoint in arguments.checkpoints:
            while flood.opened < checkpoint and time.monotonic() < began + arguments.seconds:
                flood.step()
            if flood.opened >= checkpoint:
                tell({"connections": flood.opened, "seconds": time.monotonic() - began})
        tell({"ended": True, "connections": flood.opened, "lost": flood.lost, "seconds": time.monotonic() - began})


if __name__ == "__main__":
    main()
