"""Places that hosts share fairly when they run short; a host is an IPv4 address or a /64 of IPv6."""

from __future__ import annotations

from functools import lru_cache
from typing import Generic, TypeVar

from trickles.wire.kinds import address_bytes

Item = TypeVar("Item")
_MAPPED = bytes(10) + b"\xff\xff"  # before an IPv4 address (RFC 4291 section 2.5.5.2)


class NoRoom(Exception):
    """All places are taken, and no other host has two more than this one."""


class Shares(Generic[Item]):
    """At most `most` items. When all places are taken, the host that has most of them gives its oldest one away.

    The other must have at least two less, or two hosts would take a place from each other in turn. Each step is O(1):
    hosts are kept by their number of places.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._hosts: dict[Item, bytes] = {}
        self._items: dict[bytes, dict[Item, None]] = {}  # in the order they came
        self._with: dict[int, dict[bytes, None]] = {}  # hosts by their number of items
        self._highest = 0

    def __len__(self) -> int:
        return len(self._hosts)

    def clear(self) -> None:
        self._hosts.clear()
        self._items.clear()
        self._with.clear()
        self._highest = 0

    def in_the_way(self, host: str) -> Item | None:
        """Return the item to remove before `host` gets a place, None if there is room; NoRoom if it gets none."""
        if len(self._hosts) < self._most:
            return None
        if self._highest < len(self._items.get(customer(host), ())) + 2:
            raise NoRoom
        return next(iter(self._items[next(iter(self._with[self._highest]))]))

    def add(self, host: str, item: Item) -> None:
        """Add an item, even beyond the bound."""
        self._hosts[item] = owner = customer(host)
        items = self._items.setdefault(owner, {})
        self._count(owner, len(items), len(items) + 1)
        items[item] = None

    def remove(self, item: Item) -> None:
        """Remove an item, if it is there."""
        host = self._hosts.pop(item, None)
        if host is None:
            return
        items = self._items[host]
        self._count(host, len(items), len(items) - 1)
        del items[item]
        if not items:
            del self._items[host]

    def _count(self, host: bytes, before: int, after: int) -> None:
        if before:
            del self._with[before][host]
            if not self._with[before]:
                del self._with[before]
        if after:
            self._with.setdefault(after, {})[host] = None
        if after > self._highest or self._highest not in self._with:
            self._highest = after


def host_of(address: bytes) -> bytes:
    """Return the host of a client: its IPv4 address, or the /64 of an IPv6 one, which one customer has; 8 bytes."""
    return b"\0\0\0\0" + address[12:] if address.startswith(_MAPPED) else address[:8]


@lru_cache(maxsize=4096)
def customer(host: str) -> bytes:
    """Return `host_of` an address in text; any other text is a host of its own."""
    try:
        return host_of(address_bytes(host))
    except ValueError:
        return bytes(8) + host.encode("utf-8", "surrogatepass")  # longer than any `host_of`
