"""Stores that replicas share: ledgers and topics in memory and in SQLite, responses in memory and in a folder."""

from trickleweb.stores.file_pages import FilePages
from trickleweb.stores.folder_responses import FolderResponses
from trickleweb.stores.memory import MemoryLedger, SharedMemory
from trickleweb.stores.memory_pages import MemoryPages
from trickleweb.stores.memory_responses import MemoryResponses, SharedResponses
from trickleweb.stores.memory_topics import MemoryTopics
from trickleweb.stores.sqlite import SqliteLedger
from trickleweb.stores.sqlite_topics import SqliteTopics

__all__ = [
    "FilePages", "FolderResponses", "MemoryLedger", "MemoryPages", "MemoryResponses", "MemoryTopics", "SharedMemory",
    "SharedResponses", "SqliteLedger", "SqliteTopics",
]  # fmt: skip
