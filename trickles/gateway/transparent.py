"""Redirected connections, whose original destination is asked of the kernel (Linux: REDIRECT and TPROXY)."""

from __future__ import annotations

import socket
import struct
from asyncio.trsock import TransportSocket
from contextlib import suppress
from functools import partial
from ipaddress import ip_address

from trickles.drivers.addresses import plain_address, shown
from trickles.drivers.dialer import Dialer
from trickles.gateway.downstream import Downstream
from trickles.gateway.fleet_upstream import FleetUpstream
from trickles.gateway.forward_front import forwarded
from trickles.gateway.routing import HTTPS, NOT_ALLOWED, Target, UpstreamRouter, is_of_this_machine
from trickles.gateway.tcp_upstream import TcpUpstream

SO_ORIGINAL_DST = 80  # <linux/netfilter_ipv4.h>; IP6T_SO_ORIGINAL_DST has the same number
IP_TRANSPARENT, IPV6_TRANSPARENT = 19, 75  # <linux/in.h>, <linux/in6.h>
_SOCKADDR_IN, _SOCKADDR_IN6 = 16, 28


def redirected(router: UpstreamRouter, downstream: Downstream) -> None:
    """Connect a redirected user to the upstream of its original destination."""
    context, accepted = downstream.context, downstream.extra_info("socket")
    target = original_destination(accepted)
    route, certificates, name = router.find_redirected(target), router.certificates, shown(target)
    if isinstance(route, Dialer):
        if certificates is not None and target[1] == HTTPS:
            downstream.secure(certificates, partial(forwarded, route), target=name)
        else:
            downstream.connect(FleetUpstream(context, route), target=name)
    elif route is not None and not _comes_from_here(downstream):
        downstream.connect(TcpUpstream(context, route, target), target=name)
    else:
        downstream.note_request(name, None)
        downstream.failed(NOT_ALLOWED)


def _comes_from_here(downstream: Downstream) -> bool:
    """Return True when this gateway itself dialed, and its own firewall redirected it: an endless loop."""
    host, port = plain_address(downstream.extra_info("peername"))
    return port in downstream.context.direct_ports and is_of_this_machine(host)


def original_destination(accepted: TransportSocket | socket.socket) -> Target:
    """Return the destination before the redirection; if there was none (TPROXY), the local address."""
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
    """Accept connections to foreign addresses, for TPROXY, if this process may (CAP_NET_ADMIN)."""
    with suppress(OSError):
        listening.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
    if listening.family == socket.AF_INET6:
        with suppress(OSError):
            listening.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
