"""httpx's transports over httpcore's pools."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

from trickles.httpx.blocking import FleetBackend, LoopThread
from trickles.httpx.fleets import Fleet, Fleets
from trickles.httpx.streams import AsyncFleetBackend

NO_TLS = "no TLS inside Trickles, which encrypts and authenticates by itself: use http://"
DEFAULT_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20)  # those of an httpx.Client
_NAMES = (
    *("TimeoutException", "ConnectTimeout", "ReadTimeout", "WriteTimeout", "PoolTimeout"),
    *("NetworkError", "ConnectError", "ReadError", "WriteError", "UnsupportedProtocol"),
    *("ProtocolError", "LocalProtocolError", "RemoteProtocolError"),
)
_KINDS: dict[type, type[httpx.TransportError]] = {getattr(httpcore, name): getattr(httpx, name) for name in _NAMES}


class TricklesTransport(httpx.BaseTransport):
    """A transport for `httpx.Client`: requests go to the replicas of a fleet, and survive the death of any.

    `fleets` is one fleet for every host, or a map from `HOST` or `HOST:PORT`, as URLs have them, to fleets; other hosts
    are refused. Only http:// is possible, since Trickles itself encrypts. Threads may share it. ValueError,
    KeyringError and IdentityError when a fleet cannot be used as given.
    """

    def __init__(
        self, fleets: Fleet | Mapping[str, Fleet], *, limits: httpx.Limits = DEFAULT_LIMITS, retries: int = 0
    ) -> None:
        self._thread = LoopThread()
        backend = FleetBackend(Fleets(fleets), self._thread)
        self._pool = httpcore.ConnectionPool(network_backend=backend, retries=retries, **_bounds(limits))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Return the response before its body has arrived."""
        with failing_as_httpx():
            response = self._pool.handle_request(_core_request(request))
        return _httpx_response(response, _Body(response))

    def close(self) -> None:
        """Close all connections, and end their thread."""
        self._pool.close()
        self._thread.close()


class AsyncTricklesTransport(httpx.AsyncBaseTransport):
    """A transport for `httpx.AsyncClient` on asyncio, else like `TricklesTransport`."""

    def __init__(
        self, fleets: Fleet | Mapping[str, Fleet], *, limits: httpx.Limits = DEFAULT_LIMITS, retries: int = 0
    ) -> None:
        backend = AsyncFleetBackend(Fleets(fleets))
        self._pool = httpcore.AsyncConnectionPool(network_backend=backend, retries=retries, **_bounds(limits))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the response before its body has arrived."""
        with failing_as_httpx():
            response = await self._pool.handle_async_request(_core_request(request))
        return _httpx_response(response, _AsyncBody(response))

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with failing_as_httpx():
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


class _AsyncBody(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with failing_as_httpx():
            async for part in self._response.aiter_stream():
                yield part

    async def aclose(self) -> None:
        await self._response.aclose()


def _core_request(request: httpx.Request) -> httpcore.Request:
    url = request.url
    if url.scheme == "https":
        raise httpx.UnsupportedProtocol(NO_TLS)
    target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    return httpcore.Request(
        request.method, target, headers=request.headers.raw, content=request.stream, extensions=request.extensions
    )


def _httpx_response(response: httpcore.Response, body: _Body | _AsyncBody) -> httpx.Response:
    return httpx.Response(response.status, headers=response.headers, stream=body, extensions=response.extensions)


def _bounds(limits: httpx.Limits) -> dict[str, Any]:
    return {
        "max_connections": limits.max_connections,
        "max_keepalive_connections": limits.max_keepalive_connections,
        "keepalive_expiry": limits.keepalive_expiry,
    }


@contextmanager
def failing_as_httpx() -> Iterator[None]:
    """Raise httpcore's exceptions of the block as httpx's."""
    try:
        yield
    except Exception as error:
        kind = next((_KINDS[each] for each in type(error).__mro__ if each in _KINDS), None)
        if kind is None:
            raise
        raise kind(str(error)) from error
