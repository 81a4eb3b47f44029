"""The admin port of a replica: /metrics for Prometheus, /health for health checks.

It answers on its own thread, so also for a replica that is stuck. It has no secrets and changes nothing, and is meant
for this machine or a private network.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from trickles.drivers.keeping import kept_thread
from trickles.drivers.unshared import unshared
from trickleweb.telemetry.metrics import CONTENT_TYPE

LOOPBACK = "127.0.0.1"  # the default host
STUCK_S = 5.0  # without a sign of life
MOST_AT_ONCE = 16
_ACCEPT_PAUSE_S = 0.1
_TIMEOUT_S = 10.0  # for a client's request
Page = tuple[int, str, str]  # status, type, text


class AdminServer:
    """Serves until `close`. The replica's own loop must call `alive` periodically. OSError if the port is taken.

    `metrics` returns the text for Prometheus.
    """

    def __init__(
        self, host: str, port: int, metrics: Callable[[], str], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._alive_at = clock()
        self._metrics = metrics
        self._server = _Server((host, port), _handler(self))
        self.address: tuple[str, int] = self._server.server_address[:2]  # type: ignore[assignment]
        self._thread = kept_thread("admin port", self._server.serve_forever, _to_stderr)

    def alive(self) -> None:
        """Note that the replica is running."""
        self._alive_at = self._clock()

    def page(self, path: str) -> Page:
        """Return the page at a path."""
        if path == "/metrics":
            return 200, CONTENT_TYPE, self._metrics()
        if path == "/health":
            silent = self._clock() - self._alive_at
            if silent > STUCK_S:
                return 503, "text/plain", f"no sign of life for {silent:.0f} s\n"
            return 200, "text/plain", "ok\n"
        return 404, "text/plain", "there are /metrics and /health\n"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, place: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        host, port = place
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host or LOOPBACK, port), handler)
        unshared(lambda: self.socket)
        self._free = threading.BoundedSemaphore(MOST_AT_ONCE)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Process on a thread if one is free, else close the connection."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread can be started
            self._free.release()
            raise

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection; pause after an error, such as a lack of descriptors."""
        try:
            return super().get_request()
        except OSError:
            time.sleep(_ACCEPT_PAUSE_S)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Process a request, then release its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect."""


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr)


def _handler(admin: AdminServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _TIMEOUT_S
        server_version, sys_version = "trickleweb", ""

        def do_GET(self) -> None:
            status, kind, text = admin.page(self.path.partition("?")[0])
            data = text.encode("utf-8")
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        do_HEAD = do_GET  # noqa: N815 - the name is the library's

        def log_message(self, *_arguments: object) -> None:
            """Write no log."""

    return Handler
