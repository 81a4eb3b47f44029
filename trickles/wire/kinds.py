"""The first byte of every datagram, version and kind; flags; and a burst of datagrams for one destination."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final

from trickles.service import Buffer

VERSION = 1
Address = tuple[str, int]


class Kind(IntEnum):
    """Kinds of datagrams, the version in the high half of the byte."""

    HELLO = VERSION << 4 | 1
    ASK = VERSION << 4 | 2
    CERTIFICATE = VERSION << 4 | 3
    COOKIE = VERSION << 4 | 4
    REQUEST = VERSION << 4 | 5
    RESPONSE = VERSION << 4 | 6
    REFUSAL = VERSION << 4 | 7
    PING = VERSION << 4 | 8
    PONG = VERSION << 4 | 9
    PIECE = VERSION << 4 | 10
    RECEIPT = VERSION << 4 | 11
    AWAIT = VERSION << 4 | 12
    AWAITED = VERSION << 4 | 13


class Suite(IntEnum):
    """Suites: how much of a connection is sealed."""

    SEALED = 1  # payload confidential and authenticated, both ways
    OPEN = 2  # continuations sealed, requests and control packets authenticated, data in clear


class RequestFlag:
    """Flags of a request; plain integers, for they are tested on every packet."""

    RESTART: Final = 1  # begin a new episode at `restart_base`
    CLEAN: Final = 2  # with RESTART: everything that was sent has been proved
    PROBE: Final = 4  # repeats an earlier claim: serve it, or report that it was served here before
    INPUT: Final = 8  # carries input bytes, or the offset at which input ends
    INPUT_END: Final = 16  # the input stream ends after these bytes
    COMMIT: Final = 32  # the input lies in the spool: stop and receipt take its place
    INPUT_LOST: Final = 64  # with INPUT: input from the offset on is lost, and cannot be sent again


class ResponseFlag:
    """Flags of a response packet."""

    TRANSPORT: Final = 1  # a fresh transport continuation and its law fields
    USER: Final = 2  # a user continuation and the output range it covers
    SHORT: Final = 4  # numbers of this claim above this packet are void
    END: Final = 8  # the output stream ends after this packet's data
    REPEATED: Final = 16  # all of this claim was sent from here before; the packet proves nothing, its nonce is zero
    SMALL: Final = 32  # the datagram size that the restart named was not proved: it is the least one


@dataclass(slots=True)
class Burst:
    """Datagrams for one destination; the buffers' concatenation is the segments back to back.

    All segments but the last have `segment_bytes`: one GSO send.
    """

    destination: Address
    segment_bytes: int
    buffers: list[Buffer]

    def datagrams(self) -> list[bytes]:
        data, size = b"".join(self.buffers), self.segment_bytes
        return [data[start : start + size] for start in range(0, len(data), size)]


@lru_cache(maxsize=4096)
def address_bytes(host: str) -> bytes:
    """Return a host address in 16 bytes, IPv4 mapped into IPv6 (RFC 4291 section 2.5.5.2)."""
    address = ipaddress.ip_address(host.partition("%")[0])
    return address.packed if address.version == 6 else b"\0" * 10 + b"\xff\xff" + address.packed
