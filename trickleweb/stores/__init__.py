"""Stores that replicas share: ledgers in memory and in SQLite, responses in memory."""

from trickleweb.stores.memory import MemoryLedger, SharedMemory
from trickleweb.stores.memory_responses import MemoryResponses, SharedResponses
from trickleweb.stores.sqlite import SqliteLedger

__all__ = ["MemoryLedger", "MemoryResponses", "SharedMemory", "SharedResponses", "SqliteLedger"]
