"""Path-MTU discovery by pings of the size in question, answered by pongs of that size (RFC 8899, without ICMP).

A pong brings a proof of its size; with it a restart may raise the size of the datagrams that replicas send.
"""

from __future__ import annotations

from trickles.client.state import ConnectionState

WORTHWHILE_BYTES = 32_768  # a shorter transfer does not pay for it
RETRY = 400_000
TRIES = 2
MOST_PATHS = 8  # changes of the path after which it is probed anew: a hostile fleet can say so with each answer


class PathProbe:
    """Probes every candidate size at once, a few times, as soon as the transfer is long enough to gain."""

    def __init__(self, state: ConnectionState) -> None:
        self._state = state
        self._tries = 0
        self._paths = 0
        self._next_at = 0

    def sizes(self, now: int) -> list[int]:
        """Datagram sizes to ping with now."""
        state = self._state
        if state.paths != self._paths:
            self._paths = state.paths
            self._tries, self._next_at = (0, 0) if state.paths <= MOST_PATHS else (TRIES, 0)
        if self._tries >= TRIES or now < self._next_at or not (self._unproved or self._worthwhile):
            return []
        if state.transport is None or state.transport.embryo:
            return []
        candidates = [
            size for size in state.config.probe_sizes if state.proven_bytes < size <= state.limits.max_datagram_bytes
        ]
        self._tries += 1
        self._next_at = now + RETRY
        return [state.proven_bytes, *candidates] if self._unproved else candidates

    @property
    def _unproved(self) -> bool:
        """True when a size is known to pass, from an earlier connection, and replicas would not believe it."""
        return self._state.proven_bytes > self._state.datagram_bytes and not self._state.size_proof

    @property
    def _worthwhile(self) -> bool:
        return self._state.output.next_offset + self._state.upload.counted >= WORTHWHILE_BYTES
