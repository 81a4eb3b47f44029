"""Many datagrams as one buffer: sizes of the kernel's options, cutting, and counting."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from trickles.drivers.addresses import Address
from trickles.drivers.sockopts import SOL_UDP, UDP_SEGMENT

Buffer = bytes | bytearray | memoryview
Ancillary = Sequence[tuple[int, int, bytes]]

MAX_PAYLOAD_BYTES = 65_507  # a full IPv4 packet without its two headers: the bound of a datagram and of a call
MAX_SEGMENTS = 64  # UDP_MAX_SEGMENTS of the oldest kernels with UDP_SEGMENT; 128 in newer ones
SEGMENT_SIZE = struct.Struct("=H")  # of UDP_SEGMENT
COALESCED_SIZE = struct.Struct("=i")  # of UDP_GRO
COALESCED_SPACE = socket.CMSG_SPACE(COALESCED_SIZE.size)


class Outgoing(Protocol):
    """Datagrams for one destination (`trickles.wire.Burst`): the buffers' bytes, cut every `segment_bytes`."""

    @property
    def destination(self) -> Address: ...
    @property
    def segment_bytes(self) -> int: ...  # size of every datagram but the last, which may be shorter
    @property
    def buffers(self) -> Sequence[Buffer]: ...  # of single bytes; their concatenation is the datagrams back to back


@dataclass(slots=True)
class SocketCounters:
    """Counts of datagrams; a lost one is no error, for the transport recovers."""

    sent: int = 0  # taken by the kernel
    lost_full: int = 0  # the kernel's send buffer was full
    lost_too_large: int = 0  # larger than the interface or the protocol allows
    lost_failed: int = 0  # no route, a filter, port 0, a closed socket
    received_buffers: int = 0  # each one datagram or many
    received_empty: int = 0  # empty datagrams, dropped


def joined(buffers: Sequence[Buffer]) -> Buffer:
    """Return the buffers' bytes as one buffer; a single buffer is not copied.

    One join costs less than many small buffers for the kernel: about 10 against 12 microseconds for 92 of them.
    """
    return buffers[0] if len(buffers) == 1 else b"".join(buffers)


def cut(buffer: Buffer, size_bytes: int) -> Sequence[Buffer]:
    """Return the buffer cut into datagrams of `size_bytes` (1 or more), the last shorter, without copies."""
    if len(buffer) <= size_bytes:
        return (buffer,)
    view = memoryview(buffer)
    return [view[start : start + size_bytes] for start in range(0, len(view), size_bytes)]


@lru_cache(maxsize=256)
def segmenting(segment_bytes: int) -> tuple[int, Ancillary]:
    """Return the bytes of one call in segments of that size (1 to MAX_PAYLOAD_BYTES), and its ancillary data."""
    call_bytes = min(MAX_SEGMENTS, MAX_PAYLOAD_BYTES // segment_bytes) * segment_bytes
    return call_bytes, ((SOL_UDP, UDP_SEGMENT, SEGMENT_SIZE.pack(segment_bytes)),)
