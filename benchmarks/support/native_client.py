"""The least HTTP/1.1 client over Trickles, with no gateway between: an engine on a blocking socket."""

import os
import select
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.support.load import content_length
from trickles.client import Client, ClientConfig, Data, End, Failed
from trickles.drivers.keystore import read_server_key
from trickles.drivers.udp import BatchSocket
from trickles.drivers.world import monotonic_us

PATIENCE_US = 30_000_000


class Native:
    """Makes connections to replicas, one after the other on one UDP socket; a context manager that closes it.

    A replica sees nothing of an idle connection, nor of its port. The certificate that the first one learns serves the
    others.
    """

    def __init__(self, replicas: Sequence[tuple[str, int]], server_key: Path) -> None:
        self._replicas = replicas
        self._identity = read_server_key(server_key)
        self._certificate: bytes | None = None
        self._socket = BatchSocket.unbound()
        self._poller = select.poll()
        self._poller.register(self._socket.fileno(), select.POLLIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def connect(self) -> "NativeConnection":
        """A connection, whose handshake begins with its first request."""
        config = ClientConfig(identity=self._identity, certificate=self._certificate, probe_sizes=())
        return NativeConnection(self, Client(self._replicas, entropy=os.urandom, config=config))

    def step(self, client: Client) -> None:
        """Send what is due, and wait for what comes next."""
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
        if self._certificate is None and client.certificate is not None:
            self._certificate = client.certificate.encode()


class NativeConnection:
    """One connection; it can be asked again and again."""

    def __init__(self, native: Native, client: Client) -> None:
        self._native = native
        self._client = client
        self._begun = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nobody has to be told."""

    def get(self, path: str) -> tuple[bytes, bytes]:
        """Ask for a path: (head, body); OSError if the connection fails, ValueError without a length."""
        self._client.write(f"GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        began = monotonic_us()
        if not self._begun:
            self._begun = True
            self._client.connect(now=began)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more(began)
        head, _, body = data.partition(b"\r\n\r\n")
        while len(body) < content_length(head):
            body += self._more(began)
        return head, body

    def _more(self, began: int) -> bytes:
        if monotonic_us() - began > PATIENCE_US:
            raise TimeoutError("a connection had no answer")
        self._native.step(self._client)
        data = b""
        while (event := self._client.next_event()) is not None:
            if isinstance(event, Data):
                data += b"".join(event.chunks)
            elif isinstance(event, End | Failed):
                raise ConnectionResetError(f"a connection ended within an answer: {event}")
        return data
