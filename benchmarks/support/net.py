"""Ports, and a pair of network namespaces joined by a veth cable, made and removed here."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from benchmarks.support.processes import Child, ChildFailed

LOOPBACK = "127.0.0.1"
ETHERNET_HEADER_BYTES = 14
IPV4_HEADER_BYTES = 20
UDP_HEADER_BYTES = 8


@dataclass(frozen=True, slots=True)
class Path:
    """Where a transfer runs: the server's address, and the namespaces of both sides (None: the machine's own)."""

    name: str
    server_address: str
    server_namespace: str | None = None
    client_namespace: str | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """What an interface has sent: packets, and bytes with the Ethernet headers."""

    packets: int
    bytes: int


LOOPBACK_PATH = Path("loopback", LOOPBACK)


def veth_missing() -> str | None:
    """Why namespaces cannot be made here, or None if they can."""
    if os.geteuid() != 0:
        return "needs root to make network namespaces"
    if shutil.which("ip") is None:
        return "needs the program ip (Debian: iproute2)"
    probe = f"tb{os.getpid()}p"
    made = subprocess.run(["ip", "netns", "add", probe], check=False, capture_output=True, text=True)
    if made.returncode != 0:
        return f"ip netns add: {made.stderr.strip()}"
    ip("netns", "del", probe)
    return None


def ip(*arguments: str) -> str:
    """Run ip(8) and return its output; CalledProcessError if it fails."""
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=20).stdout


@contextmanager
def veth(name: str, *, mtu: int = 1500, segments: int | None = None) -> Iterator[Path]:
    """Two namespaces with a cable of the given MTU between them, removed in the end whatever happens.

    `segments=1` makes the kernel cut every burst before the cable, so that its counters see what a wire would.
    """
    server, client = f"tb{os.getpid()}s", f"tb{os.getpid()}c"
    with ExitStack() as cleanup:
        for namespace in (server, client):
            ip("netns", "add", namespace)
            cleanup.callback(ip, "netns", "del", namespace)
        ip("-n", server, "link", "add", "bench", "type", "veth", "peer", "name", "bench", "netns", client)
        for namespace, address in ((server, "192.0.2.1/30"), (client, "192.0.2.2/30")):
            ip("-n", namespace, "address", "add", address, "dev", "bench")
            ip("-n", namespace, "link", "set", "lo", "up")
            ip("-n", namespace, "link", "set", "bench", "mtu", str(mtu), "up")
            if segments is not None:
                ip("-n", namespace, "link", "set", "bench", "gso_max_segs", str(segments))
        yield Path(name, "192.0.2.1", server, client)


def sent(namespace: str) -> Sent:
    """Counters of the server's end of the cable."""
    base = "/sys/class/net/bench/statistics"
    text = ip("netns", "exec", namespace, "cat", f"{base}/tx_packets", f"{base}/tx_bytes")
    packets, size_bytes = map(int, text.split())
    return Sent(packets, size_bytes)


def free_tcp_port() -> int:
    """A TCP port nobody listens on just now."""
    with closing(socket.create_server((LOOPBACK, 0))) as server:
        port: int = server.getsockname()[1]
        return port


def free_udp_ports(count: int) -> int:
    """The first of `count` adjacent UDP ports that are all free just now; OSError if none is found."""
    for _ in range(50):
        with ExitStack() as held:
            first = bound_udp(0, held)
            try:
                for port in range(first + 1, first + count):
                    bound_udp(port, held)
            except OSError:
                continue
            return first
    raise OSError(f"no {count} adjacent UDP ports are free")


def bound_udp(port: int, held: ExitStack) -> int:
    """Bind a UDP socket that lives as long as `held`; returns its port."""
    udp = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    udp.bind((LOOPBACK, port))
    bound: int = udp.getsockname()[1]
    return bound


def wait_for_port(child: Child, port: int, timeout: float = 20.0) -> None:
    """Wait until something accepts TCP on the loopback port; ChildFailed if the child ends or time is up."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            socket.create_connection((LOOPBACK, port), timeout=1.0).close()
            return
        except OSError:
            if not child.running() or time.monotonic() > deadline:
                raise ChildFailed(f"{' '.join(child.argv[:6])} does not listen\n{child.log_tail()}") from None
            time.sleep(0.02)
