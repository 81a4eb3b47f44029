"""Questions to replicas whether they hold the epochs of a keyring, by the protocol as it is.

A holder of the keyring seals a transport continuation under each epoch, for a connection that never was, and sends a
request with it. A replica that holds the epoch opens it, finds it bound to another address (here to none), and refuses
with the code ADDRESS and a tag by the connection's secret, before any service hears of it. One that lacks the epoch
refuses with the code EPOCH, without a tag: a hint, which anybody on the path could forge, and raise a false alarm.

So nothing is new on the wire, and a stranger, who holds no epoch, cannot ask. The answers move no state: each request
counts in `refused.address` or `refused.epoch` of the replica. Its answers are no larger than the requests.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from trickles.continuation import Seals
from trickles.drivers.addresses import Address, shown
from trickles.drivers.world import fresh_secret, wall_us
from trickles.errors import BadPacket, Forged
from trickles.keyring import Epoch, Keyring
from trickles.service import Refusal
from trickles.session import SessionKeys
from trickles.trickle import UNBOUNDED_SSTHRESH, Episode
from trickles.wire.kinds import Kind, Suite
from trickles.wire.refusal import parse_refusal_untrusted
from trickles.wire.request import RequestBody, request_header
from trickles.wire.transport import TransportState

TRIES = 4
PATIENCE_SECONDS = 0.5  # for each try: more than a round trip to anywhere
LARGEST_BYTES = 65_535
_NOWHERE = bytes(16)  # no sender has the unspecified address
_LEAST_BYTES = 1200


@dataclass(frozen=True, slots=True)
class EpochReport:
    """The ids of epochs that a replica holds, and that it lacks; the others are unknown: it did not answer."""

    replica: str
    held: tuple[int, ...]
    lacking: tuple[int, ...]


class EpochProbes:
    """Requests to one replica, and what its answers say; pure but for the secret."""

    def __init__(self, ring: Keyring, secret: bytes) -> None:
        self._session = SessionKeys(secret, Suite.SEALED)
        self._secret = secret
        self._asked: dict[int, int] = {}  # request number -> id of an epoch
        self.open = list(ring.epochs)
        self.held: set[int] = set()
        self.lacking: set[int] = set()

    def requests(self, nonce: Callable[[int], bytes], now: int) -> Iterator[bytes]:
        """Yield a request for each epoch without an answer."""
        for epoch in self.open:
            number = len(self._asked) + 1
            self._asked[number] = epoch.identifier
            header = request_header(Kind.REQUEST, self._continuation(epoch, nonce(12), now), number)
            yield self._session.seal_request(header, RequestBody(0, _LEAST_BYTES, 0, 0).encode())

    def receive(self, datagram: bytes) -> None:
        """Take an answer; others are ignored."""
        with suppress(BadPacket, Forged):
            head = parse_refusal_untrusted(datagram)
            epoch = self._asked.get(head.request)
            if epoch is None:
                return
            if head.tag:
                self._session.check_untrusted(head.clear, head.tag)
                self.held.add(epoch)
                self.lacking.discard(epoch)
            elif head.code is Refusal.EPOCH and epoch not in self.held:
                self.lacking.add(epoch)
            self.open = [each for each in self.open if each.identifier not in self.held | self.lacking]

    def report(self, replica: Address) -> EpochReport:
        return EpochReport(shown(replica), tuple(sorted(self.held)), tuple(sorted(self.lacking)))

    def _continuation(self, epoch: Epoch, nonce: bytes, now: int) -> bytes:
        episode = Episode(0, 1, UNBOUNDED_SSTHRESH)
        state = TransportState(Suite.SEALED, True, now, _NOWHERE, _LEAST_BYTES, episode, self._secret, bytes(16))
        return Seals(self._session.connection, self._session.identity).transport(Keyring((epoch,)), state, nonce, now)


def ask_replicas(
    ring: Keyring, replicas: Sequence[Address], *, tries: int = TRIES, patience: float = PATIENCE_SECONDS
) -> list[EpochReport]:
    """Ask all replicas (numeric addresses) at once which epochs they hold; it takes two seconds where one is silent."""
    with ExitStack() as undo:
        asked = {undo.enter_context(_socket(each)): EpochProbes(ring, fresh_secret(32)) for each in replicas}
        for _ in range(tries):
            for sock, probes in asked.items():
                for request in probes.requests(fresh_secret, wall_us()):
                    with suppress(OSError):  # full, or nobody listens
                        sock.send(request)
            _collect({sock: probes for sock, probes in asked.items() if probes.open}, patience)
        return [probes.report(each) for each, probes in zip(replicas, asked.values(), strict=True)]


def _collect(waiting: dict[socket.socket, EpochProbes], patience: float) -> None:
    """Receive until all have answered, or the time is up."""
    until = time.monotonic() + patience
    while waiting and (left := until - time.monotonic()) > 0:
        for sock in select.select(list(waiting), (), (), left)[0]:
            try:
                waiting[sock].receive(sock.recv(LARGEST_BYTES))
            except BlockingIOError:
                continue
            except OSError:  # nobody listens there: no need to wait
                del waiting[sock]
            else:
                if not waiting[sock].open:
                    del waiting[sock]


def _socket(replica: Address) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in replica[0] else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    with suppress(OSError):  # no route: it will not answer
        sock.connect(replica)
    return sock
