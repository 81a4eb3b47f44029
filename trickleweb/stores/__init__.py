"""Ledgers that replicas share: in memory for one process, in SQLite for one machine."""

from trickleweb.stores.memory import MemoryLedger, SharedMemory
from trickleweb.stores.sqlite import SqliteLedger

__all__ = ["MemoryLedger", "SharedMemory", "SqliteLedger"]
