"""The server side of SOCKS version 5 (RFC 1928): no authentication, CONNECT only; bytes in, bytes out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from ipaddress import ip_address

from trickles.errors import BadPacket
from trickles.gateway.routing import Target, host_untrusted

VERSION = 5
NO_AUTHENTICATION, NONE_ACCEPTABLE = 0, 0xFF
CHOSEN = bytes((VERSION, NO_AUTHENTICATION))
REJECTED = bytes((VERSION, NONE_ACCEPTABLE))
_CONNECT = 1
_IPV4, _NAME, _IPV6 = 1, 3, 4
_SIZES = {_IPV4: 4, _IPV6: 16}


class Code(IntEnum):
    """Codes of a reply (section 6)."""

    SUCCEEDED = 0
    FAILED = 1
    NOT_ALLOWED = 2
    HOST_UNREACHABLE = 4
    REFUSED = 5
    COMMAND_UNKNOWN = 7
    ADDRESS_UNKNOWN = 8


class BadSocks(BadPacket):
    """A refused request; `code` is that of the reply."""

    def __init__(self, code: Code, why: str) -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True, slots=True)
class SocksGreeting:
    """The first message: the client's methods of authentication (section 3)."""

    anonymous: bool
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SocksRequest:
    """The second message: the target (section 4)."""

    target: Target
    size_bytes: int


def greeting_untrusted(data: bytes | bytearray) -> SocksGreeting | None:
    """Parse the greeting at the start of `data`; None while incomplete, BadSocks for another version."""
    _check_version(data)
    if len(data) < 2 or len(data) < 2 + data[1]:
        return None
    return SocksGreeting(NO_AUTHENTICATION in data[2 : 2 + data[1]], 2 + data[1])


def request_untrusted(data: bytes | bytearray) -> SocksRequest | None:
    """Parse the request at the start of `data`; None while incomplete, BadSocks with the code of the reply."""
    _check_version(data)
    if len(data) < 5:
        return None
    _, command, reserved, kind, first = data[:5]
    if command != _CONNECT:
        raise BadSocks(Code.COMMAND_UNKNOWN, "SOCKS command other than CONNECT")
    if reserved or kind not in (_IPV4, _NAME, _IPV6):
        raise BadSocks(Code.ADDRESS_UNKNOWN, "SOCKS address of an unknown kind")
    start = 5 if kind == _NAME else 4
    stop = start + (first if kind == _NAME else _SIZES[kind])
    if len(data) < stop + 2:
        return None
    port = int.from_bytes(data[stop : stop + 2])
    return SocksRequest((_host(kind, bytes(data[start:stop])), port), stop + 2)


def reply(code: Code) -> bytes:
    """Return a reply; the address in it has no meaning."""
    return bytes((VERSION, code, 0, _IPV4, 0, 0, 0, 0, 0, 0))


def _check_version(data: bytes | bytearray) -> None:
    if data and data[0] != VERSION:
        raise BadSocks(Code.FAILED, "not SOCKS version 5")


def _host(kind: int, data: bytes) -> str:
    if kind != _NAME:
        return str(ip_address(data))
    try:
        return host_untrusted(data)
    except BadPacket:
        raise BadSocks(Code.ADDRESS_UNKNOWN, "malformed SOCKS name") from None
