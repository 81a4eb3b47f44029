"""Bounds of the HTTP server, each with its reason. Soft state leaves; everything else is told to ask again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """Bounds of one replica's work for programs."""

    running: int = 2048  # requests at work at once; one more is told to ask again
    kept_bytes: int = 1 << 20  # of a response to an unsafe request, or of a request too long for a token, in the ledger
    packed_bytes: int = 600  # of a request in a token, of the 700 that a continuation has
    remembered_bytes: int = 16 << 20  # of responses begun lately, and as much of those asked for again
    replayed_bytes: int = 64 << 20  # of a body that came at once, and is streamed when its request is run again


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """Bounds of bodies that are made as they are asked for, on one replica."""

    parked: int = 4096  # requests that wait for a stream; with those at work fewer than a listener lets wait
    parked_each: int = 64  # of them for one response; some wait while a replica goes on with another's
    parked_seconds: float = 25.0  # then a client that waits for a slow stream asks again
    streams: int = 4096  # whose generators are kept; the longest unused are closed, and can be made anew
    streams_bytes: int = 256 << 20  # of all together: the more there are, the less each keeps
    idle_seconds: float = 60.0  # then a stream that nobody asks for is closed
    ahead_bytes: int = 1 << 20  # made before it is asked for: more than most paths hold
    behind_bytes: int = 4 << 20  # kept for what is lost on the way: a client's whole receive window
    marks: int = 4096  # steps made before they are asked for
    first_seconds: float = 0.003  # the head waits so long for the first bytes, to leave with them


DEFAULT_SERVER_LIMITS = ServerLimits()
DEFAULT_STREAM_LIMITS = StreamLimits()
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110 9.2.1: run again wherever that is needed
OVERHEAD_BYTES = 1500  # of one response in a cache, beside its bytes
