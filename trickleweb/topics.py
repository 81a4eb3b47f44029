"""Topics: numbered entries that the replicas of a fleet share, for event streams, progress and messages.

`publish` appends an entry and gives it the next number of its topic, from 1 on and without holes; `read` returns the
entries after a number, on any replica; `wait` returns once there are others. A topic keeps its latest entries only:
bounded by count, age and size. A reader that asks for entries which are not kept gets `TopicGap`, never a later entry
in their place.

A topic that was forgotten, or belongs to a store that was replaced, begins again from 1 under another incarnation. So
a position that outlives a process is a number with its incarnation; `read` with another incarnation is a gap too.
An entry published again with the same key gets the number of the first one: work that is repeated publishes once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from trickleweb.errors import WebError

HOUR_US = 3600 * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicLimits:
    """Bounds of one store of topics. Times are microseconds, sizes bytes."""

    name_bytes: int = 200  # of a topic or a key: in UTF-8, it is part of sealed cursors
    entry_bytes: int = 256 << 10  # of one entry; larger data belongs elsewhere, with its name in the entry
    entries: int = 10_000  # kept of one topic: more than a reader misses in a minute
    topic_bytes: int = 16 << 20  # kept of one topic
    life: int = 24 * HOUR_US  # of an entry
    key_life: int = 26 * HOUR_US  # of a key: longer than a client repeats its request
    topics: int = 100_000  # more are refused until old ones are forgotten
    total_bytes: int = 1 << 30  # of the whole store


DEFAULT_TOPIC_LIMITS = TopicLimits()


class TopicEntry(NamedTuple):
    """One entry of a topic."""

    number: int
    data: bytes


class TopicRange(NamedTuple):
    """The entries a topic keeps: `first` to `last`, none if `first` is `last + 1`.

    A topic without entries yet has no incarnation: "".
    """

    incarnation: str = ""
    first: int = 1
    last: int = 0


class TopicPage(NamedTuple):
    """Entries read from a topic, in order, and what it kept at that time."""

    entries: tuple[TopicEntry, ...]
    kept: TopicRange


class BadTopic(WebError, ValueError):
    """A topic, key, entry or number outside of `TopicLimits`."""


class TopicGap(WebError):
    """A reader's next entry is not kept; `kept` is what can be read: resume after `kept.first - 1`, and report it."""

    def __init__(self, topic: str, after: int, kept: TopicRange) -> None:
        super().__init__(f"the topic {topic[:100]!r} keeps {kept.first} to {kept.last}, and nothing after {after}")
        self.topic = topic
        self.after = after
        self.kept = kept


class TopicsFull(WebError):
    """The store has as many topics, or as many bytes, as it may: nothing was published."""


class TopicsUnavailable(WebError):
    """The store cannot be used now: removed, locked for too long, damaged, or of another release."""


class Topics(Protocol):
    """A store of topics; `trickleweb.stores.SqliteTopics` is for the replicas of one machine.

    Any method may raise `BadTopic` or `TopicsUnavailable`.
    """

    async def publish(self, topic: str, data: bytes, key: str = "") -> int:
        """Append an entry, and return its number; with a `key` used before, the number of that entry.

        Raise `TopicsFull`.
        """

    async def read(self, topic: str, after: int, most: int, incarnation: str = "") -> TopicPage:
        """Return at most `most` entries after a number, as few as one page of memory holds; none if there are none.

        Raise `TopicGap` if the entry after it is not kept, the number was never given, or the incarnation, unless it
        is "", is another one.
        """

    async def kept(self, topic: str) -> TopicRange:
        """Return what a topic keeps."""

    async def wait(self, after: Mapping[str, int]) -> set[str]:
        """Return the topics whose last number is another one, once there are any."""


PAGE_BYTES = 1 << 20  # of one `read`: then it returns what it has


def check_entry(topic: str, data: bytes, key: str, limits: TopicLimits) -> None:
    """Raise `BadTopic` for an entry that cannot be kept."""
    check_name("topic", topic, limits)
    if key:
        check_name("key", key, limits)
    if len(data) > limits.entry_bytes:
        raise BadTopic(f"an entry is at most {limits.entry_bytes} bytes: publish the name of larger data")


def check_reading(topic: str, after: int, most: int, limits: TopicLimits) -> None:
    """Raise `BadTopic` for a position that no topic can have."""
    check_name("topic", topic, limits)
    if not 0 <= after < 1 << 63 or most < 1:
        raise BadTopic("a reader is after a number from 0 on, and asks for at least one entry")


def check_name(what: str, name: str, limits: TopicLimits) -> None:
    """Raise `BadTopic` unless the name is text of 1 to `name_bytes` bytes without control characters."""
    try:
        size = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        raise BadTopic(f"a {what} is text in UTF-8") from None
    if not 0 < size <= limits.name_bytes or any(char < " " or char == "\x7f" for char in name):
        raise BadTopic(f"a {what} has 1 to {limits.name_bytes} bytes, and no control characters")


def check_position(topic: str, after: int, kept: TopicRange, incarnation: str) -> None:
    """Raise `TopicGap` if a reader there cannot go on with the next entry."""
    if not kept.first - 1 <= after <= kept.last or (incarnation and incarnation != kept.incarnation):
        raise TopicGap(topic, after, kept)
