"""What the network said about datagrams we sent: the error queue of a socket (Linux, ip(7), IP_RECVERR) as values."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from trickles.drivers.addresses import Address, plain_address
from trickles.drivers.sockopts import IP_RECVERR, IPV6_RECVERR, LINUX

EXTENDED_ERROR = struct.Struct("=IBBBBII")  # struct sock_extended_err: errno, origin, type, code, pad, info, data
RECVERR = {(socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)}
MSG_ERRQUEUE = 0x2000
ANCILLARY_BYTES = 256  # room for the error, the offender's address and alignment
DRAIN_LIMIT = 256  # errors read at one go; the rest is still there next time


@dataclass(frozen=True, slots=True)
class PathError:
    """An error about a destination: a hint that anyone on the path can forge, never a proof."""

    destination: Address | None  # port 0: the kernel did not say (as for its own EMSGSIZE on IPv4); None: nor the host
    errno: int  # ECONNREFUSED: nobody listens on that port; EMSGSIZE: larger than `mtu_bytes`; or another of errno's
    mtu_bytes: int | None  # of the IP packet, headers included; only for EMSGSIZE, and not always then


def drain(sock: socket.socket, limit: int = DRAIN_LIMIT) -> list[PathError]:
    """Remove up to `limit` queued errors and return them, equal ones once, oldest first.

    A queue that is not empty keeps the socket readable.
    """
    errors: list[PathError] = []
    for _ in range(limit if LINUX else 0):
        try:
            _, ancillary, _, source = sock.recvmsg(0, ANCILLARY_BYTES, MSG_ERRQUEUE)
        except OSError:
            break
        errors.extend(parse(ancillary, plain_address(source) if source else None))
    return list(dict.fromkeys(errors))


def parse(ancillary: Iterable[tuple[int, int, bytes]], destination: Address | None) -> list[PathError]:
    """Return the errors in one message's ancillary data; whatever is not a whole `sock_extended_err` is skipped."""
    errors = []
    for level, kind, data in ancillary:
        if (level, kind) in RECVERR and len(data) >= EXTENDED_ERROR.size:
            code, _, _, _, _, info, _ = EXTENDED_ERROR.unpack_from(data)
            mtu_bytes = info if code == errno.EMSGSIZE and info else None
            errors.append(PathError(destination, code, mtu_bytes))
    return errors
