"""What connections to one fleet share and learn: replicas, identity, certificate, path size. All of it is soft."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import replace

from trickles.client import Client, ClientConfig
from trickles.drivers.connection import Connection, Consumer
from trickles.drivers.udp import BatchSocket
from trickles.drivers.world import EntropyPool
from trickles.wire.kinds import Address


class Dialer:
    """Opens connections to a fleet; later ones profit from what earlier ones found out."""

    def __init__(self, replicas: Sequence[Address], config: ClientConfig) -> None:
        self.replicas = [resolve(*replica) for replica in replicas]
        self.config = config
        self._entropy: Callable[[int], bytes] = EntropyPool()
        self._turn = 0

    def dial(self, consumer: Consumer) -> Connection:
        """A new connection on a socket of its own; call `start` on it."""
        client = Client(self.replicas, entropy=self._entropy, config=self.config)
        family = socket.AF_INET6 if any(":" in host for host, _ in self.replicas) else socket.AF_INET
        return Connection(client, BatchSocket.unbound(family), consumer)

    def learn(self, client: Client) -> None:
        """Keep what a connection found out: the certificate, the path's size, the replica that answers."""
        certificate = client.greeting.certificate
        if certificate is None or not client.state.established:
            return
        home = client.state.fleet.home
        self.config = replace(
            self.config,
            certificate=certificate.encode(),
            datagram_bytes=client.state.proven_bytes,
            first=self.replicas.index(home) if home in self.replicas else 0,
        )


def resolve(host: str, port: int) -> Address:
    """Numeric address of a host name; OSError when there is none."""
    info = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    return str(info[4][0]), port


def parse_address(text: str) -> Address:
    """`HOST:PORT` or `[IPV6]:PORT`; ValueError when it is neither."""
    host, separator, port = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not separator or not host or not port.isdecimal() or not 0 <= int(port) < 65_536:
        raise ValueError(f"not HOST:PORT: {text!r}")
    return host, int(port)
