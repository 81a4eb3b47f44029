"""The error queue of a socket: ICMP errors about sent datagrams (Linux, ip(7), IP_RECVERR)."""

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
DRAIN_LIMIT = 256  # errors read at once; the rest stays queued


@dataclass(frozen=True, slots=True)
class PathError:
    """An error about a destination: a hint that anyone on the path can forge, never a proof."""

    destination: Address | None  # port 0: unknown (as for the kernel's own EMSGSIZE on IPv4); None: host unknown too
    errno: int  # ECONNREFUSED: nobody listens on that port; EMSGSIZE: larger than `mtu_bytes`; or another of errno's
    mtu_bytes: int | None  # of the IP packet, headers included; only for EMSGSIZE, and not always then


def drain(sock: socket.socket) -> list[PathError]:
    """Remove up to DRAIN_LIMIT queued errors and return them, equal ones once, oldest first.

    A queue that is not empty keeps the socket readable.
    """
    errors: list[PathError] = []
    for _ in range(DRAIN_LIMIT if LINUX else 0):
        try:
            _, ancillary, _, source = sock.recvmsg(0, ANCILLARY_BYTES, MSG_ERRQUEUE)
        except OSError:
            break
        errors.extend(parse(ancillary, plain_address(source) if source else None))
    return list(dict.fromkeys(errors))


def parse(ancillary: Iterable[tuple[int, int, bytes]], destination: Address | None) -> list[PathError]:
    """Return the errors in one message's ancillary data; incomplete ones are skipped."""
    errors = []
    for level, kind, data in ancillary:
        if (level, kind) in RECVERR and len(data) >= EXTENDED_ERROR.size:
            code, _, _, _, _, info, _ = EXTENDED_ERROR.unpack_from(data)
            mtu_bytes = info if code == errno.EMSGSIZE and info else None
            errors.append(PathError(destination, code, mtu_bytes))
    return errors
