"""Path-MTU discovery by pings of the size in question, answered by pongs of that size (RFC 8899, without ICMP).

A pong brings a proof of its size; with it a restart may raise the size of the datagrams that replicas send. A size
holds for one path: another address of this host, or a proof that has aged, begins all of it again.
"""

from __future__ import annotations

from trickles.client.config import ClientConfig

WORTHWHILE_BYTES = 32_768  # a shorter transfer does not pay for it
RETRY = 400_000
TRIES = 2
MOST_PATHS = 8  # changes of the path after which it is probed again: a hostile fleet can say so with each answer
LARGE_BURST = 4  # packets one request may ask for when a single one is as large as a send


class PathMtu:
    """The size of datagrams in use, the largest that is known to pass, and the pings under way."""

    def __init__(self, config: ClientConfig) -> None:
        self._limits = limits = config.limits
        self._probe_sizes = config.probe_sizes
        self.datagram_bytes = limits.min_datagram_bytes
        self.proven_bytes = max(config.datagram_bytes, limits.min_datagram_bytes)  # passes, from here at least
        self.size_proof = config.size_proof  # by which a replica believes it
        self.pings: dict[int, int] = {}  # request number and size of those that await their pong
        self._paths = 0  # how often a size was given up because the path is another one
        self._tries = 0
        self._next_at = 0

    @property
    def widens(self) -> bool:
        """True when a replica would believe that larger datagrams pass than those in use."""
        return self.proven_bytes > self.datagram_bytes and self.size_proof != 0

    @property
    def burst_packets(self) -> int:
        """Packets of one GSO send at the current datagram size; a few when each fills a send by itself."""
        limits, size = self._limits, self.datagram_bytes
        return min(limits.max_burst_packets, max(limits.max_burst_bytes, LARGE_BURST * size) // size)

    def use(self, size: int) -> None:
        """An episode has begun with datagrams of that size."""
        self.datagram_bytes = size

    def restore(self, datagram_bytes: int, proven_bytes: int, proof: int) -> None:
        """Go on with sizes that were in use before."""
        self.datagram_bytes, self.proven_bytes, self.size_proof = datagram_bytes, proven_bytes, proof

    def on_larger_lost(self, size: int) -> None:
        """No datagrams above that size pass any more."""
        self.proven_bytes, self.size_proof = size, 0

    def on_other_path(self) -> None:
        """The address is another one, or its proof has aged: what was known of sizes holds no more."""
        self.datagram_bytes = self._limits.min_datagram_bytes
        self.on_larger_lost(self.datagram_bytes)
        self._paths += 1
        self._tries, self._next_at = (0 if self._paths <= MOST_PATHS else TRIES), 0

    def sizes(self, transferred_bytes: int, now: int) -> list[int]:
        """Datagram sizes to ping with now: all candidates at once, a few times, once a transfer is long enough."""
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
        """A ping of that size leaves, under that request number."""
        self.pings[number] = size

    def on_pong(self, number: int, size: int, proof: int) -> bool:
        """Take a pong of that size; False when no ping awaits it, for of one ping one pong counts."""
        if self.pings.pop(number, 0) != size:
            return False
        if size > self.proven_bytes or (size == self.proven_bytes and not self.size_proof):
            self.proven_bytes, self.size_proof = size, proof
        return True
