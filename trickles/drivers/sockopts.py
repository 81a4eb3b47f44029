"""Socket options of the UDP driver: Linux extensions, tried once, never required.

Numbers are those of the Linux headers (`linux/udp.h`, `linux/in.h`, `linux/in6.h`), which the socket module of
Python 3.11 does not name; on other systems none of them is tried.
"""

from __future__ import annotations

import socket
import sys

LINUX = sys.platform == "linux"

SOL_UDP = 17
UDP_SEGMENT = 103
UDP_GRO = 104

SO_SNDBUFFORCE = 32
SO_RCVBUFFORCE = 33
SO_COOKIE = 57

IP_FREEBIND = 15
IPV6_FREEBIND = 78
IP_MTU_DISCOVER = 10
IP_RECVERR = 11
IPV6_MTU_DISCOVER = 23
IPV6_RECVERR = 25
PMTUDISC_PROBE = 3  # never fragment, and trust the interface's MTU, not the cached one of the path


def try_option(sock: socket.socket, level: int, option: int, value: int) -> bool:
    """Set a Linux option; return True when it is set now."""
    if not LINUX:
        return False
    try:
        sock.setsockopt(level, option, value)
    except OSError:
        return False
    return True


def can_segment(sock: socket.socket) -> bool:
    """Return True when `sendmsg` knows UDP_SEGMENT.

    A kernel without it would ignore the ancillary data and send the whole burst as one datagram.
    """
    if not LINUX:
        return False
    try:
        sock.getsockopt(SOL_UDP, UDP_SEGMENT)
    except OSError:
        return False
    return True


def can_coalesce(sock: socket.socket) -> bool:
    """Enable coalesced receives (UDP_GRO); return True when the kernel has them."""
    return try_option(sock, SOL_UDP, UDP_GRO, 1)


def cookie(sock: socket.socket) -> bytes:
    """Return the kernel's name for this socket, eight bytes; empty where it has none."""
    if not LINUX:
        return b""
    try:
        return sock.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8)
    except OSError:
        return b""


def set_buffers(sock: socket.socket, receive_bytes: int, send_bytes: int) -> None:
    """Set the sizes of the kernel's buffers: above the system's maximum where privileged, else up to it."""
    if not try_option(sock, socket.SOL_SOCKET, SO_RCVBUFFORCE, receive_bytes):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    if not try_option(sock, socket.SOL_SOCKET, SO_SNDBUFFORCE, send_bytes):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_bytes)


def bind_freely(sock: socket.socket) -> None:
    """Let a socket be bound to an address that the machine does not have yet (ip(7), IP_FREEBIND)."""
    try_option(sock, socket.IPPROTO_IP, IP_FREEBIND, 1)
    if sock.family == socket.AF_INET6:
        try_option(sock, socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)


def never_fragment(sock: socket.socket) -> None:
    """Send every datagram whole or not at all: EMSGSIZE if too large for the interface, lost if for the path.

    An IPv6 socket also sends IPv4 (to mapped addresses), so it gets both options.
    """
    try_option(sock, socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_PROBE)
    if sock.family == socket.AF_INET6:
        try_option(sock, socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_PROBE)


def queue_errors(sock: socket.socket) -> None:
    """Queue ICMP errors about any destination for `errqueue.drain`, though the socket is not connected."""
    try_option(sock, socket.IPPROTO_IP, IP_RECVERR, 1)
    if sock.family == socket.AF_INET6:
        try_option(sock, socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
