"""Path MTU discovery by pings, answered by pongs of the same size (RFC 8899, without ICMP).

A pong brings a proof of its size; with it a restart may raise the size of the datagrams that replicas send. A proof
is valid for one path: after a change of this host's address, or when it is too old, discovery begins again.
"""

from __future__ import annotations

from trickles.client.config import ClientConfig

WORTHWHILE_BYTES = 32_768  # shorter transfers are not worth it
RETRY = 400_000
TRIES = 2
MOST_PATHS = 8  # changes of path that are probed again: a hostile fleet can claim one with each answer
LARGE_BURST = 4  # packets of one request when each is as large as a send


class PathMtu:
    """The datagram size in use, the largest proved one, and the pings under way."""

    def __init__(self, config: ClientConfig) -> None:
        self._limits = limits = config.limits
        self._probe_sizes = config.probe_sizes
        self.datagram_bytes = limits.min_datagram_bytes
        self.proven_bytes = max(config.datagram_bytes, limits.min_datagram_bytes)  # in this direction at least
        self.size_proof = config.size_proof  # accepted by replicas
        self.pings: dict[int, int] = {}  # size by request number
        self._paths = 0  # changes of the path so far
        self._tries = 0
        self._next_at = 0

    @property
    def widens(self) -> bool:
        """True when larger datagrams than those in use are proved."""
        return self.proven_bytes > self.datagram_bytes and self.size_proof != 0

    @property
    def burst_packets(self) -> int:
        """Packets of one GSO send at the current datagram size; LARGE_BURST if each fills a send alone."""
        limits, size = self._limits, self.datagram_bytes
        return min(limits.max_burst_packets, max(limits.max_burst_bytes, LARGE_BURST * size) // size)

    def use(self, size: int) -> None:
        self.datagram_bytes = size

    def restore(self, datagram_bytes: int, proven_bytes: int, proof: int) -> None:
        self.datagram_bytes, self.proven_bytes, self.size_proof = datagram_bytes, proven_bytes, proof

    def on_larger_lost(self, size: int) -> None:
        self.proven_bytes, self.size_proof = size, 0

    def on_other_path(self) -> None:
        """Forget the known sizes: the address changed, or the proof has aged."""
        self.datagram_bytes = self._limits.min_datagram_bytes
        self.on_larger_lost(self.datagram_bytes)
        self._paths += 1
        self._tries, self._next_at = (0 if self._paths <= MOST_PATHS else TRIES), 0

    def sizes(self, transferred_bytes: int, now: int) -> list[int]:
        """Return sizes to ping with now: all candidates, a few times, once a transfer is long enough."""
        if self._tries >= TRIES or now < self._next_at:
            return []
        unproved = self.proven_bytes > self.datagram_bytes and not self.size_proof  # known from an earlier connection
        if not unproved and transferred_bytes < WORTHWHILE_BYTES:
            return []
        most = self._limits.max_datagram_bytes
        candidates = [size for size in self._probe_sizes if self.proven_bytes < size <= most]
        self._tries += 1
        self._next_at = now + RETRY
        return [self.proven_bytes, *candidates] if unproved else candidates

    def on_ping(self, number: int, size: int) -> None:
        self.pings[number] = size

    def on_pong(self, number: int, size: int, proof: int) -> bool:
        """Take a pong of that size; return False when no ping awaits it."""
        if self.pings.pop(number, 0) != size:
            return False
        if size > self.proven_bytes or (size == self.proven_bytes and not self.size_proof):
            self.proven_bytes, self.size_proof = size, proof
        return True
