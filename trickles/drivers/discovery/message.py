"""DNS messages for SRV records (RFC 1035, RFC 2782, RFC 6891): one question, and its answer."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from trickles.errors import BadPacket

A, CNAME, AAAA, SRV, OPT = 1, 5, 28, 33, 41
IN = 1
UDP_BYTES = 1232  # offered by EDNS: fits every path (DNS flag day 2020)
MOST_RECORDS = 512  # more is no fleet
MOST_JUMPS = 32  # compression pointers in one name
_HEADER = struct.Struct("!HHHHHH")
_RECORD = struct.Struct("!HHIH")
_SRV = struct.Struct("!HHH")
_RESPONSE, _TRUNCATED, _RECURSE, _CODE = 0x8000, 0x0200, 0x0100, 0x000F
_CODES = {1: "the question is malformed", 2: "the server failed", 3: "there is no such name", 5: "the server refuses"}


@dataclass(frozen=True, slots=True, order=True)
class SrvRecord:
    """One SRV record; a lower priority goes first."""

    priority: int
    weight: int
    port: int
    target: str


@dataclass(slots=True)
class DnsAnswer:
    """A response: services of the name in the question, and addresses."""

    truncated: bool = False
    problem: str | None = None
    services: list[SrvRecord] = field(default_factory=list)
    addresses: dict[str, list[str]] = field(default_factory=dict)


def question(number: int, name: str) -> bytes:
    """Return a query for the SRV records of `name`; ValueError when that cannot be a name."""
    labels = name.rstrip(".").encode("ascii", "replace").split(b".")
    if (
        not name.isascii()
        or not all(0 < len(label) < 64 for label in labels)
        or sum(map(len, labels)) + len(labels) > 254
    ):
        raise ValueError(f"not a name: {name!r}")
    encoded = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    edns = b"\0" + _RECORD.pack(OPT, UDP_BYTES, 0, 0)
    return _HEADER.pack(number, _RECURSE, 1, 0, 0, 1) + encoded + struct.pack("!HH", SRV, IN) + edns


def parse_untrusted(message: bytes, number: int, name: str) -> DnsAnswer:
    """Parse the answer to `question(number, name)`; BadPacket when it answers another one, or is malformed."""
    try:
        return _parsed(message, number, name.rstrip(".").lower())
    except (struct.error, IndexError, UnicodeDecodeError):
        raise BadPacket("a DNS message that ends too early, or holds what is no name") from None


def _parsed(message: bytes, number: int, name: str) -> DnsAnswer:
    found, flags, questions, answers, authorities, additional = _HEADER.unpack_from(message)
    if found != number or not flags & _RESPONSE or questions != 1:
        raise BadPacket("a DNS message that answers another question")
    asked, at = _name(message, _HEADER.size)
    if asked != name or struct.unpack_from("!HH", message, at) != (SRV, IN):
        raise BadPacket("a DNS message that answers another question")
    if flags & _CODE:
        return DnsAnswer(problem=_CODES.get(flags & _CODE, f"the server says {flags & _CODE}"))
    if flags & _TRUNCATED:
        return DnsAnswer(truncated=True)
    if answers + authorities + additional > MOST_RECORDS:
        raise BadPacket("a DNS message of too many records")
    return _records(message, at + 4, answers + authorities + additional, name)


def _records(message: bytes, at: int, count: int, name: str) -> DnsAnswer:
    answer, owners = DnsAnswer(), {name}
    for _ in range(count):
        owner, at = _name(message, at)
        kind, klass, _, size = _RECORD.unpack_from(message, at)
        at += _RECORD.size
        data = message[at : at + size]
        if len(data) < size:
            raise BadPacket("a DNS record that ends too early")
        if klass == IN and kind == CNAME and owner in owners:
            owners.add(_name(message, at)[0])
        elif klass == IN and kind == SRV and owner in owners:
            priority, weight, port = _SRV.unpack_from(data)
            answer.services.append(SrvRecord(priority, weight, port, _name(message, at + _SRV.size)[0]))
        elif klass == IN and (kind, size) in ((A, 4), (AAAA, 16)):
            host = IPv4Address(data) if kind == A else IPv6Address(data)
            answer.addresses.setdefault(owner, []).append(str(host))
        at += size
    return answer


def _name(message: bytes, at: int) -> tuple[str, int]:
    """Return the name at that offset, in lower case, and the offset after it."""
    labels, end, jumps = list[str](), None, 0
    while length := message[at]:
        if length >= 0xC0:
            end = end or at + 2
            jumps += 1
            at = (length & 0x3F) << 8 | message[at + 1]
        elif length >= 0x40:
            raise BadPacket("a DNS name with a label of unknown kind")
        else:
            labels.append(message[at + 1 : at + 1 + length].decode("ascii").lower())
            at += 1 + length
        if jumps > MOST_JUMPS or len(labels) > 127:
            raise BadPacket("a DNS name without end")
    return ".".join(labels), end or at + 1
