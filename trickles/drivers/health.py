"""Choice of the first replica of a new connection: each in turn, except those that lately did not answer."""

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
        self._rests: dict[Address, tuple[int, int]] = {}  # end and length of the rest

    def replace(self, replicas: Sequence[Address]) -> None:
        """Replace the replicas; the state of those that stay is kept."""
        self._replicas = list(replicas)
        for gone in self._rests.keys() - set(replicas):
            del self._rests[gone]

    def silent(self, replica: Address, now: int) -> None:
        """Let a silent replica rest; further reports during its rest do not count."""
        until, length = self._rests.get(replica, (0, 0))
        if now >= until:
            length = min(max(2 * length, FIRST_REST), LONGEST_REST)
            self._rests[replica] = now + length, length

    def answered(self, replica: Address) -> None:
        self._rests.pop(replica, None)

    def pick(self, now: int) -> int:
        """Return the index of the next replica; when all rest, of the one whose rest ends first."""
        count = len(self._replicas)
        for step in range(1, count + 1):
            index = (self._turn + step) % count
            if self._rests.get(self._replicas[index], (0, 0))[0] <= now:
                self._turn = index
                return index
        return min(range(count), key=lambda index: self._rests[self._replicas[index]][0])
