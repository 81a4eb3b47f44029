"""Places of which each host has its share when they run short; a host is an IPv4 address or a /64 of IPv6."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Generic, TypeVar

Item = TypeVar("Item")


class NoRoom(Exception):
    """All places are taken, and nobody has more of them than who asks would have."""


class Shares(Generic[Item]):
    """At most `most` items. When all places are taken, the host that has most of them gives its oldest one away.

    But only to one that has two less at least, or two hosts would take a place from each other in turn. Each step costs
    the same, however many items and hosts there are: hosts are kept by how many places they have.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._hosts: dict[Item, str] = {}
        self._items: dict[str, dict[Item, None]] = {}  # in the order they came
        self._with: dict[int, dict[str, None]] = {}  # hosts by their number of items
        self._highest = 0

    def __len__(self) -> int:
        return len(self._hosts)

    def clear(self) -> None:
        """All leave."""
        self._hosts.clear()
        self._items.clear()
        self._with.clear()
        self._highest = 0

    def in_the_way(self, host: str) -> Item | None:
        """The item that has to leave before one of `host` gets a place, None if none has to; NoRoom if it gets none."""
        if len(self._hosts) < self._most:
            return None
        if self._highest < len(self._items.get(customer(host), ())) + 2:
            raise NoRoom
        return next(iter(self._items[next(iter(self._with[self._highest]))]))

    def add(self, host: str, item: Item) -> None:
        """Give it a place, although there may be none left."""
        self._hosts[item] = host = customer(host)
        items = self._items.setdefault(host, {})
        self._count(host, len(items), len(items) + 1)
        items[item] = None

    def remove(self, item: Item) -> None:
        """It leaves, if it has a place."""
        host = self._hosts.pop(item, None)
        if host is None:
            return
        items = self._items[host]
        self._count(host, len(items), len(items) - 1)
        del items[item]
        if not items:
            del self._items[host]

    def _count(self, host: str, before: int, after: int) -> None:
        if before:
            del self._with[before][host]
            if not self._with[before]:
                del self._with[before]
        if after:
            self._with.setdefault(after, {})[host] = None
        if after > self._highest or self._highest not in self._with:
            self._highest = after


def customer(host: str) -> str:
    """Who is behind an address: it alone in IPv4, the /64 that one customer has in IPv6."""
    if ":" not in host:
        return host
    try:
        address = IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    return str(address.ipv4_mapped) if address.ipv4_mapped else address.packed[:8].hex()
