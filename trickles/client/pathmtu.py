"""Path-MTU discovery by pings of the size in question, answered by pongs of that size (RFC 8899, without ICMP)."""

from __future__ import annotations

from trickles.client.state import ConnectionState

WORTHWHILE_BYTES = 32_768  # a shorter transfer does not pay for it
RETRY = 400_000
TRIES = 2


class PathProbe:
    """Probes every candidate size at once, a few times, as soon as the transfer is long enough to gain."""

    def __init__(self, state: ConnectionState) -> None:
        self._state = state
        self._tries = 0
        self._next_at = 0

    def sizes(self, now: int) -> list[int]:
        """Datagram sizes to ping with now."""
        state = self._state
        if (
            self._tries >= TRIES
            or now < self._next_at
            or state.output.next_offset + state.upload.counted < WORTHWHILE_BYTES
        ):
            return []
        if state.transport is None or state.transport.embryo:
            return []
        candidates = [
            size for size in state.config.probe_sizes if state.proven_bytes < size <= state.limits.max_datagram_bytes
        ]
        self._tries += 1
        self._next_at = now + RETRY
        return candidates
