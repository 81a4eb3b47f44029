"""Bounds of a spool directory, and its usage by host and in total."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolBounds:
    """Bounds of space, time and age. A log is one connection's input as written by one replica.

    A log counts as at least 4 KiB, and a piece takes at least 512 bytes of it.
    """

    # space
    most_bytes: int = 1 << 30  # one connection's input
    most_total_bytes: int = 8 << 30  # all that is stored
    most_host_bytes: int = 4 << 30  # of clients with one IPv4 address, or in one /64 of IPv6: half of the total
    most_total_logs: int = 1 << 18  # inodes; and each costs time to count
    most_host_logs: int = 1 << 14  # of one host: 50 finished uploads a second
    most_host_folder_logs: int = 1 << 9  # in one of 256 folders: clients choose them, and a look lists one

    # time: a small piece takes as long to read as a large one
    most_small_pieces: int = 1 << 14  # of under 256 bytes, of one connection's unconsumed input, for each replica

    # ages
    most_age: float = 3600.0  # since the last piece came
    most_crowded_age: float = 300.0  # the same, once half of the space or of the logs is used
    most_spent_age: float = 300.0  # since its input was consumed: a repeated request may still ask for it

    # soft state of a process
    most_indexed: int = 1 << 20  # known places of pieces and holes; 70 bytes each


Host = str


class Usage(NamedTuple):
    """Usage: bytes, and the logs with them."""

    byte_count: int = 0
    logs: int = 0

    def plus(self, byte_count: int, logs: int) -> Usage:
        return Usage(self.byte_count + byte_count, self.logs + logs)


NOTHING = Usage()


class Tally:
    """The newest count of each folder, and the sums over all, by host and in total."""

    def __init__(self) -> None:
        self._folders: dict[str, dict[Host, Usage]] = {}
        self._hosts: dict[Host, Usage] = {}
        self.total = NOTHING

    def of(self, host: Host) -> Usage:
        return self._hosts.get(host, NOTHING)

    def within(self, folder: str, host: Host) -> Usage:
        return self._folders.get(folder, {}).get(host, NOTHING)

    @property
    def folders(self) -> list[str]:
        return list(self._folders)

    def replace(self, folder: str, counted: Mapping[Host, Usage]) -> None:
        for host, usage in self._folders.pop(folder, {}).items():
            self._sum(host, -usage.byte_count, -usage.logs)
        for host, usage in counted.items():
            self._sum(host, usage.byte_count, usage.logs)
        if counted:
            self._folders[folder] = dict(counted)

    def add(self, folder: str, host: Host, byte_count: int, logs: int) -> None:
        """Add usage to a folder since it was counted."""
        counted = self._folders.setdefault(folder, {})
        counted[host] = counted.get(host, NOTHING).plus(byte_count, logs)
        self._sum(host, byte_count, logs)

    def _sum(self, host: Host, byte_count: int, logs: int) -> None:
        total, own = self.total, self._hosts.get(host, NOTHING)
        self.total = Usage(total.byte_count + byte_count, total.logs + logs)
        usage = self._hosts[host] = Usage(own.byte_count + byte_count, own.logs + logs)
        if not usage.logs:
            del self._hosts[host]
