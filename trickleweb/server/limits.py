"""Bounds of the HTTP server, each with its reason. Soft state is evicted; other work is refused with a retry."""

from __future__ import annotations

from dataclasses import dataclass

from trickleweb.limits import DEFAULT_LIMITS, RESPONSE_BYTES, Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """Bounds of one replica's work for applications."""

    running: int = 2048  # running requests; a further one is answered BUSY
    kept_bytes: int = 1 << 20  # in the ledger: a response to an unsafe request, or a request too long for a token
    packed_bytes: int = 600  # of a request in a token; a continuation has 700
    response_bytes: int = RESPONSE_BYTES  # of one response to an unsafe request, which is stored: `--max-response`
    stored_bytes: int = 32 << 20  # of stored responses in memory; others are read again
    remembered_bytes: int = 16 << 20  # of started responses, and as much of resumed ones
    replayed_bytes: int = 64 << 20  # of a complete body that is streamed when its request is run again


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """Bounds of bodies that are made on request, on one replica."""

    parked: int = 16_384  # requests waiting for streams; with the running ones fewer than a listener allows
    parked_each: int = 64  # of them for one response
    parked_seconds: float = 600.0  # then the client of a slow stream asks again, with what it has of it renewed
    streams: int = 16_384  # live generators; the least recently used are closed, and can be made again
    streams_bytes: int = 256 << 20  # of all streams, shared equally
    idle_seconds: float = 60.0  # without a request, then a stream is closed
    silent_seconds: float = 12.0  # the same for a client that wanted more than there was, and would have asked again
    ahead_bytes: int = 1 << 20  # made ahead of requests: more than most paths hold
    behind_bytes: int = 4 << 20  # kept for lost packets: a client's whole receive window
    marks: int = 4096  # steps made ahead of requests
    first_seconds: float = 0.003  # the head waits so long for the first bytes, to leave with them


DEFAULT_SERVER_LIMITS = ServerLimits()
DEFAULT_STREAM_LIMITS = StreamLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLimits:
    """All bounds of an HTTP service."""

    request: Limits = DEFAULT_LIMITS
    server: ServerLimits = DEFAULT_SERVER_LIMITS
    streams: StreamLimits = DEFAULT_STREAM_LIMITS


DEFAULT_SERVICE_LIMITS = ServiceLimits()
OVERHEAD_BYTES = 1500  # of one response in a cache, besides its bytes
