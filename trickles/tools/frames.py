"""UDP datagrams in captured frames: link layers, IPv4 and IPv6."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from functools import lru_cache

from trickles.wire.kinds import Address

NULL, ETHERNET, LOOP, COOKED, COOKED2 = 0, 1, 108, 113, 276  # pcap's link types
RAW_IP = frozenset({12, 14, 101, 228, 229})
_SKIPPED = {NULL: 4, LOOP: 4, COOKED: 16, COOKED2: 20}  # bytes before the IP header
_VLAN = frozenset({0x8100, 0x88A8})
_ETHER_IP = frozenset({0x0800, 0x86DD})
_UDP = 17
_PORTS = struct.Struct(">HHH")
_FRAGMENT = 0x1FFF  # offset bits of the IPv4 fragment field


@dataclass(frozen=True, slots=True)
class CapturedPacket:
    """A captured UDP payload; `size_bytes` is its size on the wire, more than the payload if it was cut."""

    source: Address
    destination: Address
    payload: bytes
    size_bytes: int


def udp_in_frame(link: int, frame: bytes) -> CapturedPacket | None:
    """Return the UDP datagram in a frame of that link type; None when none begins there."""
    at = _ip_offset(link, frame)
    return udp_in_ip(frame[at:]) if at is not None else None


def udp_in_ip(packet: bytes) -> CapturedPacket | None:
    """Return the UDP datagram in an IP packet; None for other protocols and later fragments."""
    version = packet[0] >> 4 if packet else 0
    try:
        if version == 4:
            return _in_ipv4(packet)
        return _in_ipv6(packet) if version == 6 else None
    except struct.error:
        return None


def _ip_offset(link: int, frame: bytes) -> int | None:
    if link in RAW_IP:
        return 0
    if link != ETHERNET:
        return _SKIPPED.get(link)
    at = 12
    while int.from_bytes(frame[at : at + 2], "big") in _VLAN:
        at += 4
    return at + 2 if int.from_bytes(frame[at : at + 2], "big") in _ETHER_IP else None


def _in_ipv4(packet: bytes) -> CapturedPacket | None:
    fragment, _, protocol = struct.unpack_from(">HBB", packet, 6)
    if protocol != _UDP or fragment & _FRAGMENT:
        return None
    return _datagram(packet, (packet[0] & 0xF) * 4, packet[12:16], packet[16:20])


def _in_ipv6(packet: bytes) -> CapturedPacket | None:
    (following,) = struct.unpack_from(">B", packet, 6)
    return _datagram(packet, 40, packet[8:24], packet[24:40]) if following == _UDP else None


def _datagram(packet: bytes, at: int, source: bytes, destination: bytes) -> CapturedPacket:
    sender, receiver, length = _PORTS.unpack_from(packet, at)
    start = at + 8
    size = max(length - 8, 0) if length else len(packet) - start  # 0: longer than 16 bits can hold
    return CapturedPacket(
        (_text(source), sender),
        (_text(destination), receiver),
        packet[start : start + size],
        size,
    )


@lru_cache(maxsize=1024)
def _text(address: bytes) -> str:
    return str(ipaddress.ip_address(address))
