"""Which replica a new connection begins with: each in turn, but for those that lately did not answer others."""

from __future__ import annotations

from collections.abc import Sequence

from trickles.limits import SECOND
from trickles.wire.kinds import Address

FIRST_REST = 1 * SECOND
LONGEST_REST = 32 * SECOND


class Health:
    """Health by use: a replica that was silent rests for a second, twice as long each time until it answers again."""

    def __init__(self, replicas: Sequence[Address], first: int = 0) -> None:
        self._replicas = list(replicas)
        self._turn = first - 1  # the last one picked
        self._rests: dict[Address, tuple[int, int]] = {}  # until when, and how long the rest is

    def replace(self, replicas: Sequence[Address]) -> None:
        """A new list; what is known of those that stay stays."""
        self._replicas = list(replicas)
        for gone in self._rests.keys() - set(replicas):
            del self._rests[gone]

    def silent(self, replica: Address, now: int) -> None:
        """That replica did not answer; what others say during its rest is no news."""
        until, length = self._rests.get(replica, (0, 0))
        if now >= until:
            length = min(max(2 * length, FIRST_REST), LONGEST_REST)
            self._rests[replica] = now + length, length

    def answered(self, replica: Address) -> None:
        """That replica is well."""
        self._rests.pop(replica, None)

    def pick(self, now: int) -> int:
        """The index of the replica whose turn it is; when all rest, of the one that is to be tried first."""
        count = len(self._replicas)
        for step in range(1, count + 1):
            index = (self._turn + step) % count
            if self._rests.get(self._replicas[index], (0, 0))[0] <= now:
                self._turn = index
                return index
        return min(range(count), key=lambda index: self._rests[self._replicas[index]][0])
