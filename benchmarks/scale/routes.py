"""Routes from a client's attempt to a replica: lists that clients hold, hashes in routers, and spray."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from random import Random
from typing import Protocol

from trickles.drivers.dialer import MOST_DETOURS

_MIX, _WORD = 0x9E3779B97F4A7C15, (1 << 64) - 1


def mixed(value: int) -> int:
    """Return 64 bits that depend on all bits of the value (splitmix64)."""
    value = (value + _MIX) & _WORD
    value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) & _WORD
    value = ((value ^ value >> 27) * 0x94D049BB133111EB) & _WORD
    return value ^ value >> 31


class Router(Protocol):
    """Leads a client's `attempt`, which is a place in its list or a source port, to a replica."""

    def route(self, client: int, attempt: int) -> int: ...


class Listed:
    """A list at each client: a random first replica, and steps of 1 to 60 from there (`Dialer`, `ReplicaSet`)."""

    def __init__(self, clients: int, replicas: int, rng: Random) -> None:
        self._replicas = replicas
        self._first = array("l", (rng.randrange(replicas) for _ in range(clients)))
        self._step = array("l", (1 + rng.randrange(MOST_DETOURS) % max(replicas - 1, 1) for _ in range(clients)))
        self._members: Sequence[int] | None = None

    def place(self, client: int) -> tuple[int, int]:
        """Return the first replica and the step of a client, as `Client` takes them."""
        return self._first[client], self._step[client]

    def replace(self, members: Sequence[int]) -> None:
        """Withdraw all others: clients whose replica was withdrawn go to another member."""
        self._members = members
        self._in = frozenset(members)

    def route(self, client: int, attempt: int) -> int:
        steps = attempt * self._step[client]
        replica = (self._first[client] + steps + steps // self._replicas) % self._replicas  # one more after each round
        if self._members is None or replica in self._in:
            return replica
        return self._members[mixed(client << 16 | attempt) % len(self._members)]


class Hashed:
    """A router with a table: the hash of a flow selects a place in it."""

    def __init__(self, table: Sequence[int]) -> None:
        self.replace(table)

    def replace(self, table: Sequence[int]) -> None:
        self.table = table

    def route(self, client: int, attempt: int) -> int:
        return self.table[mixed(client << 16 | attempt) % len(self.table)]


class Sprayed(Hashed):
    """A router that leads each datagram to a random replica of its table."""

    def __init__(self, table: Sequence[int], rng: Random) -> None:
        super().__init__(table)
        self._rng = rng

    def route(self, client: int, attempt: int) -> int:  # noqa: ARG002
        return self.table[int(self._rng.random() * len(self.table))]
