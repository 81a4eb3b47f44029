"""A replica at a socket as the target of attacks: only on this machine, within a rate and a time."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from trickles.drivers.addresses import Address, shown
from trickles.errors import BadPacket, IdentityError
from trickles.handshake import verify_certificate_untrusted
from trickles.tools.attacks.owned import check_owned
from trickles.tools.attacks.stage import ATTACKER, NoAnswer, PurseEmpty
from trickles.wire.hello import ASK_BYTES, Certificate
from trickles.wire.kinds import Kind

ATTACKER_HOST, VICTIM_HOST = "127.0.0.1", "127.66.66.66"  # on loopback all of 127/8 may be bound
PATIENCE_SECONDS = 0.08  # for the first answer; a replica on the same machine needs a thousandth of it
QUIET_SECONDS = 0.02  # after the last one
TRIES = 10
LARGEST_BYTES = 65_535
RECEIVE_BUFFER_BYTES = 4 << 20
DRAIN_EVERY = 16  # datagrams sent


class LiveTarget:
    """Two sockets to one replica: the attacker's, and the victim's, which also sends."""

    def __init__(
        self,
        address: Address,
        *,
        identity: bytes | None,
        trust: Callable[[bytes], bool],
        rate: int,
        seconds: float,
        pid: int | None = None,
    ) -> None:
        check_owned(address)
        self._pid = pid
        self.victim_elsewhere = address[0].startswith("127.")
        self._interval = 1 / rate
        self._sockets = [_socket(address, host) for host in (ATTACKER_HOST, VICTIM_HOST)]
        self._next_at = 0.0
        self._ends_at = time.monotonic() + seconds
        try:
            self.certificate = self._certificate(address, identity, trust)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for each in self._sockets:
            each.close()

    def ask(self, datagrams: Sequence[bytes], *, sender: int = ATTACKER) -> list[bytes]:
        """Send at the allowed rate, and wait until no more answers come; PurseEmpty when time is up."""
        sock, answers = self._sockets[sender], list[bytes]()
        for index, datagram in enumerate(datagrams):
            now = time.monotonic()
            if now >= self._ends_at:
                raise PurseEmpty
            if self._next_at > now:
                time.sleep(self._next_at - now)
            self._next_at = max(self._next_at, now) + self._interval
            _send(sock, datagram)
            if index % DRAIN_EVERY == DRAIN_EVERY - 1:
                _drain(sock, answers)
        patience = PATIENCE_SECONDS
        while select.select([sock], [], [], patience)[0]:
            _drain(sock, answers)
            patience = QUIET_SECONDS
        return answers

    def pause(self, duration: int) -> None:
        time.sleep(duration / 1_000_000)

    def memory_bytes(self) -> int | None:
        """Return the resident memory of the process with that pid."""
        if self._pid is None:
            return None
        return int(Path(f"/proc/{self._pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def _certificate(self, address: Address, identity: bytes | None, trust: Callable[[bytes], bool]) -> Certificate:
        for _ in range(TRIES):
            for answer in self.ask([bytes((Kind.ASK,)).ljust(ASK_BYTES, b"\0")]):
                try:
                    found = verify_certificate_untrusted(answer[1:], identity, wall=time.time_ns() // 1000)
                except BadPacket:
                    continue
                if identity is None and not trust(found.identity):
                    raise IdentityError("the fleet's identity is not trusted")
                return found
        raise NoAnswer(f"no replica answers at {shown(address)}")


def _socket(address: Address, loopback_host: str) -> socket.socket:
    wide = ":" in address[0]
    made = socket.socket(socket.AF_INET6 if wide else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        hops = (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) if wide else (socket.IPPROTO_IP, socket.IP_TTL)
        made.setsockopt(*hops, 1)  # the first router drops it, whatever the routes
        if address[0].startswith("127."):
            made.bind((loopback_host, 0))
        made.connect(address)
    except BaseException:
        made.close()
        raise
    return made


def _send(sock: socket.socket, datagram: bytes) -> None:
    try:
        sock.send(datagram)
    except BlockingIOError:
        select.select([], [sock], [], PATIENCE_SECONDS)
    except ConnectionRefusedError:
        raise NoAnswer("nobody listens there (any more)") from None


def _drain(sock: socket.socket, answers: list[bytes]) -> None:
    while True:
        try:
            answers.append(sock.recv(LARGEST_BYTES))
        except BlockingIOError:
            return
        except ConnectionRefusedError:
            raise NoAnswer("nobody listens there (any more)") from None
