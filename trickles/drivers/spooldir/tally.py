"""How much of a spool is used up, and by whom: counted folder by folder, since others write too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

Host = str


class Usage(NamedTuple):
    """Bytes, and the logs that hold them."""

    byte_count: int = 0
    logs: int = 0

    def plus(self, byte_count: int, logs: int) -> Usage:
        """That much more."""
        return Usage(self.byte_count + byte_count, self.logs + logs)


NOTHING = Usage()


class Tally:
    """The newest count of each folder, and the sums over all of them, for each host and in all."""

    def __init__(self) -> None:
        self._folders: dict[str, dict[Host, Usage]] = {}
        self._hosts: dict[Host, Usage] = {}
        self.total = NOTHING

    def of(self, host: Host) -> Usage:
        """What that host uses."""
        return self._hosts.get(host, NOTHING)

    def within(self, folder: str, host: Host) -> Usage:
        """What that host uses of one folder."""
        return self._folders.get(folder, {}).get(host, NOTHING)

    @property
    def folders(self) -> list[str]:
        """The folders that were counted and were not empty."""
        return list(self._folders)

    def replace(self, folder: str, counted: Mapping[Host, Usage]) -> None:
        """A folder was counted afresh."""
        for host, usage in self._folders.pop(folder, {}).items():
            self._sum(host, -usage.byte_count, -usage.logs)
        for host, usage in counted.items():
            self._sum(host, usage.byte_count, usage.logs)
        if counted:
            self._folders[folder] = dict(counted)

    def add(self, folder: str, host: Host, byte_count: int, logs: int) -> None:
        """Something was written into a folder since it was counted."""
        counted = self._folders.setdefault(folder, {})
        counted[host] = counted.get(host, NOTHING).plus(byte_count, logs)
        self._sum(host, byte_count, logs)

    def _sum(self, host: Host, byte_count: int, logs: int) -> None:
        total, own = self.total, self._hosts.get(host, NOTHING)
        self.total = Usage(total.byte_count + byte_count, total.logs + logs)
        usage = self._hosts[host] = Usage(own.byte_count + byte_count, own.logs + logs)
        if not usage.logs:
            del self._hosts[host]
