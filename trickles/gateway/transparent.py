"""Connections that a firewall sent here: where each was going is asked of the kernel (Linux: REDIRECT and TPROXY)."""

from __future__ import annotations

import socket
import struct
from asyncio.trsock import TransportSocket
from contextlib import suppress
from ipaddress import ip_address

from trickles.drivers.addresses import plain_address, shown
from trickles.drivers.dialer import Dialer
from trickles.gateway.forward import Forwarder, Opening
from trickles.gateway.guide import HTTPS, NOT_ALLOWED, Guide, is_of_this_machine
from trickles.gateway.program import Program
from trickles.gateway.relay import Relay
from trickles.gateway.shared import Shared
from trickles.gateway.targets import Target

SO_ORIGINAL_DST = 80  # <linux/netfilter_ipv4.h>; IP6T_SO_ORIGINAL_DST has the same number
IP_TRANSPARENT, IPV6_TRANSPARENT = 19, 75  # <linux/in.h>, <linux/in6.h>
_SOCKADDR_IN, _SOCKADDR_IN6 = 16, 28


class Transparent(Program):
    """A program that believes to have reached whom it dialed."""

    def __init__(self, shared: Shared, guide: Guide) -> None:
        super().__init__(shared)
        self._guide = guide

    def begin(self) -> None:
        """Go where it was going."""
        assert self._transport is not None
        target = original_destination(self._transport.get_extra_info("socket"))
        way = self._guide.find_redirected(target)
        certificates = self._guide.certificates
        self.target = name = shown(target)
        if isinstance(way, Dialer) and certificates is not None and target[1] == HTTPS:
            self.hand_over_secured(certificates, Forwarder(self._shared, way), target=name)
        elif isinstance(way, Dialer):
            self.hand_over(Forwarder(self._shared, way), target=name)
        elif way is not None and not self._comes_from_here():
            self.hand_over(SilentRelay(self._shared, way, target, Opening(b"", lambda _: b"")), target=name)
        else:
            self.failed(NOT_ALLOWED)

    def _comes_from_here(self) -> bool:
        """Whether this gateway itself dialed, and its own firewall sent it back: a loop without end."""
        assert self._transport is not None
        host, port = plain_address(self._transport.get_extra_info("peername"))
        return port in self._shared.relaying and is_of_this_machine(host)


class SilentRelay(Relay):
    """A relay without a word for failure but a reset."""

    def farewell(self, data: bytes = b"") -> None:
        """Reset a program that was never connected to anyone."""
        if self.was_reached:
            super().farewell(data)
        else:
            self._finish()
            self._reset()


def original_destination(accepted: TransportSocket | socket.socket) -> Target:
    """Where a connection was going before the firewall changed that; its own local address if it did not (TPROXY)."""
    family = accepted.family
    level, size = (
        (socket.IPPROTO_IPV6, _SOCKADDR_IN6) if family == socket.AF_INET6 else (socket.IPPROTO_IP, _SOCKADDR_IN)
    )
    local = plain_address(accepted.getsockname())
    if family == socket.AF_INET6 and ":" not in local[0]:  # IPv4 on a socket of both
        level, size = socket.IPPROTO_IP, _SOCKADDR_IN
    try:
        raw = accepted.getsockopt(level, SO_ORIGINAL_DST, size)
    except OSError:
        return local
    (port,) = struct.unpack_from("!H", raw, 2)
    return str(ip_address(raw[8:24] if size == _SOCKADDR_IN6 else raw[4:8])), port


def make_transparent(listening: TransportSocket | socket.socket) -> None:
    """Let it accept connections to foreign addresses, for TPROXY, if this process may (CAP_NET_ADMIN)."""
    with suppress(OSError):
        listening.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
    if listening.family == socket.AF_INET6:
        with suppress(OSError):
            listening.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
