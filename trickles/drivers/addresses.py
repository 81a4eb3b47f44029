"""Socket addresses as the engines use them: numeric text and a port, whatever the socket's family."""

from __future__ import annotations

import socket
from functools import lru_cache

Address = tuple[str, int]
SocketAddress = tuple[str, int] | tuple[str, int, int, int]

CACHED_ADDRESSES = 4096  # a miss costs about a microsecond
V4_MAPPED = "::ffff:"  # RFC 4291 section 2.5.5.2


@lru_cache(maxsize=CACHED_ADDRESSES)
def plain_address(raw: SocketAddress) -> Address:
    """Return `(host, port)` for an address as the socket module gives it.

    An IPv4-mapped IPv6 address becomes plain IPv4 text; a scoped one (link-local) keeps its interface as `%index`.
    """
    host = raw[0]
    if host.startswith(V4_MAPPED) and "." in host:
        host = host.removeprefix(V4_MAPPED)
    if len(raw) == 4 and raw[3] and "%" not in host:
        host = f"{host}%{raw[3]}"
    return host, raw[1]


@lru_cache(maxsize=CACHED_ADDRESSES)
def socket_address(family: int, address: Address) -> SocketAddress:
    """Undo `plain_address`: return what a socket of `family` takes for `(host, port)`.

    ValueError for a host that is not numeric (a name would block in a resolver), for an address that the family cannot
    reach, and for a port that does not fit 16 bits.
    """
    host, port = address
    if not 0 <= port <= 0xFFFF:
        raise ValueError(f"port {port} is not between 0 and 65535")
    if family == socket.AF_INET:
        _check(socket.AF_INET, host)
        return address
    if ":" not in host:
        _check(socket.AF_INET, host)
        return V4_MAPPED + host, port, 0, 0
    unscoped, _, scope = host.partition("%")
    _check(socket.AF_INET6, unscoped)
    return unscoped, port, 0, _interface(scope)


def shown(address: SocketAddress) -> str:
    """Return `HOST:PORT`, with brackets around an IPv6 host, as the command line takes it."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _check(family: int, host: str) -> None:
    try:
        socket.inet_pton(family, host)
    except (OSError, ValueError):
        raise ValueError(f"{host!r} is not a numeric address that this socket can reach") from None


def _interface(scope: str) -> int:
    if not scope:
        return 0
    if scope.isascii() and scope.isdigit():
        return int(scope)
    try:
        return socket.if_nametoindex(scope)
    except OSError:
        raise ValueError(f"there is no network interface {scope!r}") from None
