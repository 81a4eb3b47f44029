"""Topics in memory: for tests, for one process, and as the simple model of every store of topics."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock

from trickles.drivers.world import wall_us
from trickleweb.stores.waiters import Waiters
from trickleweb.topics import (
    DEFAULT_TOPIC_LIMITS,
    PAGE_BYTES,
    TopicEntry,
    TopicLimits,
    TopicPage,
    TopicRange,
    TopicsFull,
    check_entry,
    check_name,
    check_position,
    check_reading,
)


@dataclass(slots=True)
class _Topic:
    incarnation: str = field(default_factory=lambda: secrets.token_hex(4))
    last: int = 0
    entries: deque[tuple[int, bytes]] = field(default_factory=deque)  # with their times
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)  # numbers and times
    size_bytes: int = 0
    at: int = 0

    @property
    def kept(self) -> TopicRange:
        return TopicRange(self.incarnation, self.last - len(self.entries) + 1, self.last)

    def append(self, data: bytes, key: str, now: int) -> int:
        self.last += 1
        self.at = now
        self.entries.append((now, data))
        self.size_bytes += len(data)
        if key:
            self.keys[key] = self.last, now
        return self.last

    def trim(self, limits: TopicLimits, now: int) -> int:
        """Drop what exceeds the limits; return its bytes."""
        entries, before = self.entries, self.size_bytes
        while entries and (
            len(entries) > limits.entries or self.size_bytes > limits.topic_bytes or entries[0][0] < now - limits.life
        ):
            self.size_bytes -= len(entries.popleft()[1])
        while self.keys and (oldest := next(iter(self.keys))) and self.keys[oldest][1] < now - limits.key_life:
            del self.keys[oldest]
        return before - self.size_bytes


class MemoryTopics:
    """`Topics` of one process, for all its threads and loops: virtual replicas may share one."""

    def __init__(self, *, limits: TopicLimits = DEFAULT_TOPIC_LIMITS, clock_us: Callable[[], int] = wall_us) -> None:
        self._limits = limits
        self._clock_us = clock_us
        self._topics: dict[str, _Topic] = {}
        self._size_bytes = 0
        self._waiters = Waiters[str]()
        self._lock = Lock()

    async def publish(self, topic: str, data: bytes, key: str = "") -> int:
        check_entry(topic, data, key, self._limits)
        with self._lock:
            number = self._publish(topic, data, key, self._clock_us())
        self._waiters.wake((topic,))
        return number

    async def read(self, topic: str, after: int, most: int, incarnation: str = "") -> TopicPage:
        check_reading(topic, after, most, self._limits)
        with self._lock:
            kept = self._kept(topic)
            check_position(topic, after, kept, incarnation)
            found: list[TopicEntry] = []
            size = 0
            for number in range(after + 1, min(after + most, kept.last) + 1):
                data = self._topics[topic].entries[number - kept.first][1]
                size += len(data)
                if found and size > PAGE_BYTES:
                    break
                found.append(TopicEntry(number, data))
            return TopicPage(tuple(found), kept)

    async def kept(self, topic: str) -> TopicRange:
        check_name("topic", topic, self._limits)
        with self._lock:
            return self._kept(topic)

    async def wait(self, after: Mapping[str, int]) -> set[str]:
        for topic, number in after.items():
            check_reading(topic, number, 1, self._limits)
        while True:
            with self._waiters.waiting(after) as woken:
                with self._lock:
                    news = {topic for topic, number in after.items() if self._kept(topic).last != number}
                if news:
                    return news
                await woken

    def _publish(self, topic: str, data: bytes, key: str, now: int) -> int:
        found = self._topics.get(topic)
        if found is None:
            self._make_room(now)
            found = self._topics[topic] = _Topic()
        self._size_bytes -= found.trim(self._limits, now)
        if key in found.keys:
            return found.keys[key][0]
        if self._size_bytes + len(data) > self._limits.total_bytes:
            raise TopicsFull(f"topics keep {self._limits.total_bytes} bytes already")
        number = found.append(data, key, now)
        self._size_bytes += len(data) - found.trim(self._limits, now)
        return number

    def _make_room(self, now: int) -> None:
        """Forget topics whose entries and keys are all too old; raise `TopicsFull` if there is no room then."""
        longest = max(self._limits.life, self._limits.key_life)
        if len(self._topics) >= self._limits.topics:
            for name in [name for name, each in self._topics.items() if each.at < now - longest]:
                self._size_bytes -= self._topics.pop(name).size_bytes
        if len(self._topics) >= self._limits.topics:
            raise TopicsFull(f"there are {self._limits.topics} topics already")

    def _kept(self, topic: str) -> TopicRange:
        found = self._topics.get(topic)
        return TopicRange() if found is None else found.kept
