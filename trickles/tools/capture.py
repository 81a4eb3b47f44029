"""Sources of datagrams: a capture file (pcap or pcapng, `-` for standard input) or a network interface."""

from __future__ import annotations

import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from scapy.error import Scapy_Exception
from scapy.utils import RawPcapReader

from trickles.errors import TricklesError
from trickles.tools.frames import CapturedPacket, udp_in_frame, udp_in_ip
from trickles.tools.segments import segments
from trickles.wire.kinds import Address

_LARGEST_FRAME = 1 << 18  # larger than any offloaded burst; Scapy's default cuts those
_EVERY_PROTOCOL = 3  # ETH_P_ALL
_SPOILED = (Scapy_Exception, struct.error, EOFError, OSError, ValueError, LookupError, TypeError, OverflowError)


class CaptureError(TricklesError):
    """A capture that cannot be read or made; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Captured:
    """One datagram, cut out of its burst; `size_bytes` exceeds the payload if the capture kept only its beginning."""

    time_us: int
    source: Address
    destination: Address
    payload: bytes
    size_bytes: int


def read_capture(path: str) -> Iterator[Captured]:
    """Yield every UDP datagram in a capture file, in order, up to a cut end; CaptureError for other files."""
    with ExitStack() as stack:
        try:
            file: IO[bytes] = sys.stdin.buffer if path == "-" else stack.enter_context(Path(path).open("rb"))
        except OSError as exc:
            raise CaptureError(f"{path}: {exc.strerror or exc}") from None
        try:
            reader = RawPcapReader(file)
        except _SPOILED as exc:
            raise CaptureError(f"{path} is no capture file that can be read ({exc})") from None
        for time_us, link, frame in _frames(reader):
            packet = udp_in_frame(link, frame)
            if packet is not None:
                yield from _cut(time_us, packet)


def sniff(interface: str) -> Iterator[Captured]:
    """Yield every UDP datagram on an interface, `any` for all, until interrupted; CaptureError without access."""
    if not hasattr(socket, "AF_PACKET"):
        raise CaptureError("live capture needs Linux: use `tcpdump -w - udp | trickles dump -r -`")
    try:
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_EVERY_PROTOCOL))
    except PermissionError:
        raise CaptureError("live capture needs root, or the capability CAP_NET_RAW") from None
    with tap:
        try:
            if interface != "any":
                tap.bind((interface, _EVERY_PROTOCOL))
        except OSError as exc:
            raise CaptureError(f"{interface}: {exc.strerror or exc}") from None
        while True:
            packet, sender = tap.recvfrom(_LARGEST_FRAME)
            name, outgoing = sender[0], sender[2] == socket.PACKET_OUTGOING
            found = udp_in_ip(packet) if not (outgoing and name == "lo") else None  # lo shows all packets twice
            if found is not None:
                yield from _cut(time.time_ns() // 1000, found)


def _frames(reader: Any) -> Iterator[tuple[int, int, bytes]]:
    """Yield time, link type and bytes of each frame, up to the first malformed one."""
    while True:
        try:
            frame, about = reader._read_packet(size=_LARGEST_FRAME)
            link = getattr(about, "linktype", None)
            yield _time_us(reader, about), reader.linktype if link is None else link, frame
        except _SPOILED:
            return


def _time_us(reader: Any, about: Any) -> int:
    if hasattr(about, "tshigh"):
        ticks = (about.tshigh << 32 | about.tslow) if about.tshigh is not None else 0
        return int(ticks * 1_000_000 // (about.tsresol or 1_000_000))
    return int(about.sec * 1_000_000 + (about.usec // 1000 if reader.nano else about.usec))


def _cut(time_us: int, packet: CapturedPacket) -> Iterator[Captured]:
    pieces = segments(packet.payload)
    for piece in pieces:
        size = packet.size_bytes if len(pieces) == 1 else len(piece)
        yield Captured(time_us, packet.source, packet.destination, piece, size)
