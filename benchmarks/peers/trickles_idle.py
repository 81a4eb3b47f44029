"""An opener of native connections, with no gateway between: see `idle_tcp.py` for the contract of openers.

`--server-key FILE` names the fleet's identity. Each connection makes its request, takes the answer and stays idle; all
engines share one UDP socket, one after the other, for a replica sees nothing of an idle connection, nor of its port.
"""

import argparse
import os
import select
import signal
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.contract import tell
from trickles.client import Client, ClientConfig, Data, Failed
from trickles.drivers.keystore import read_server_key
from trickles.drivers.udp import BatchSocket
from trickles.drivers.world import monotonic_us

PATIENCE_US = 30_000_000


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connect", required=True, help="HOST:PORT of a replica on loopback")
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--request", default="small.txt")
    parser.add_argument("--server-key", type=Path, required=True)
    return parser.parse_args()


class Opener:
    """Opens one connection at a time on a socket; the certificate that the first one learns serves the others."""

    def __init__(self, sock: BatchSocket, replicas: Sequence[tuple[str, int]], identity: bytes, path: str) -> None:
        self._socket = sock
        self._replicas = replicas
        self._identity = identity
        self._request = f"GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        self._certificate: bytes | None = None
        self._poller = select.poll()
        self._poller.register(sock.fileno(), select.POLLIN)

    def open(self) -> Client:
        """A connection that has had its answer; RuntimeError if none comes."""
        config = ClientConfig(identity=self._identity, certificate=self._certificate, probe_sizes=())
        client, answer, began = Client(self._replicas, entropy=os.urandom, config=config), b"", monotonic_us()
        client.write(self._request)
        client.connect(now=began)
        while not answer.startswith(b"HTTP/1.1 200 "):
            self._step(client)
            while (event := client.next_event()) is not None:
                if isinstance(event, Failed):
                    raise RuntimeError(f"a connection failed: {event.reason}")
                if isinstance(event, Data):
                    answer += b"".join(event.chunks)
            if answer and not answer.startswith(b"HTTP/1.1 200 "[: len(answer)]):
                raise RuntimeError(f"a wrong answer: {answer[:60]!r}")
            if monotonic_us() - began > PATIENCE_US:
                raise RuntimeError("a connection had no answer")
        certificate = client.greeting.certificate
        self._certificate = None if certificate is None else certificate.encode()
        return client

    def _step(self, client: Client) -> None:
        now = monotonic_us()
        due = client.next_timeout()
        if due is not None and due <= now:
            client.handle_timeout(now=now)
        for datagram, replica in client.datagrams_to_send(now=now):
            self._socket.send_one(datagram, replica)
        due = client.next_timeout()
        self._poller.poll(1000 if due is None else max(0, (due - now + 999) // 1000))
        for buffer, size, source in self._socket.receive():
            client.receive_burst(buffer, size, source, now=monotonic_us())


def main() -> None:
    arguments = parse_arguments()
    host, _, port = arguments.connect.rpartition(":")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    with BatchSocket.unbound() as sock:
        identity = read_server_key(arguments.server_key)
        opener = Opener(sock, [(host, int(port))], identity, arguments.request)
        held = [opener.open() for _ in range(arguments.connections)]
        tell({"ready": True, "connections": len(held)})
        signal.sigwait({signal.SIGTERM})


if __name__ == "__main__":
    main()
