"""Bounds of the HTTP layer, each with its default and its reason."""

from __future__ import annotations

from dataclasses import dataclass

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# RFC 9110 9.2.1, and IANA's registry of methods: these may always be run again.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "PROPFIND", "QUERY", "REPORT", "SEARCH", "TRACE"})
RESPONSE_BYTES = 1 << 30  # of one response to an unsafe request, which is stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one request; counts of bytes say so in their names."""

    max_request_line_bytes: int = 8192  # RFC 9112 3: at least 8,000 octets should be supported
    max_header_bytes: int = 65_536  # all field lines together: several cookies of 4 kB and then some
    max_headers: int = 128  # more than any browser or proxy sends; keeps every linear scan short
    max_body_bytes: int = 16 << 20  # a route with larger uploads raises it
    max_chunk_line_bytes: int = 256  # chunk-size and extensions, which are not used in practice
    max_trailer_bytes: int = 8192  # trailers are read and dropped
    methods: frozenset[str] | None = METHODS  # others are answered 501; None, for programs: all but CONNECT reach them


DEFAULT_LIMITS = Limits()
PROGRAM_LIMITS = Limits(methods=None)
