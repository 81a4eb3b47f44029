"""Pages in memory: for tests, and for one process."""

from __future__ import annotations

from trickleweb.cache import LruCache


class MemoryPages:
    """Pages of at most `most_bytes`, shared by the virtual replicas that hold the object."""

    def __init__(self, most_bytes: int = 16 << 20) -> None:
        self._pages: LruCache[bytes, bytes] = LruCache(most_bytes)

    def put(self, key: bytes, data: bytes) -> None:
        self._pages.put(key, data, len(data))

    def get(self, key: bytes) -> bytes | None:
        return self._pages.get(key)
