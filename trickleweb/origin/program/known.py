"""What a client knows of the output: a continuation whose end is known, as all are that programs' responses have."""

from __future__ import annotations

from typing import NamedTuple

from trickles.service import Continuation
from trickleweb.origin.response import NotThisResponse


class Known(NamedTuple):
    """As `Continuation`, but for its stop, which is never None, and its state, which is never empty."""

    state: bytes
    start: int
    stop: int
    consumed: int
    more: bool = False

    @property
    def continuation(self) -> Continuation:
        """The same for the transport."""
        return Continuation(*self)


def known_by(continuation: Continuation) -> Known:
    """The same, if it is one that this server could have made; else `NotThisResponse`."""
    state, start, stop, consumed, more = continuation
    if stop is None or not state:
        raise NotThisResponse("a continuation of no known kind")
    return Known(state, start, stop, consumed, more)
