"""The response store: responses to unsafe requests, kept as they are made, for all replicas of a fleet.

A response to an unsafe request exists once: its program does not run again. So the replica that runs it appends head
and body to a store while the program makes them, and sends what is stored; every other replica can read it, and wait
for more. The ledger's row says which response it is (`ResponseWriter.name`).

 OPEN      its writer lives, and goes on
 COMPLETE  all of it is stored
 CUT       its writer ended before the response did: more will never come

A name is random and never used again, so bytes of two runs are never mixed. A store never invents bytes: it gives those
that were appended, in their order, or fewer.

    writer = await store.begin(client=host)      before the program runs: the refusals come here
    await writer.start(head)                     from now on others find it by `writer.name`
    await writer.append(data)                    any number of times
    await writer.append(data, last=True)         the last bytes and the end, as one step
    writer.close()                               in every case: an incomplete one becomes CUT, an empty one nothing
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from trickles.service import Buffer
from trickleweb.errors import ResponseStoreError, ResponseStoreFull, ResponseStoreUnavailable

__all__ = [
    "Growth", "Pages", "ResponseBounds", "ResponseStore", "ResponseStoreError", "ResponseStoreFull",
    "ResponseStoreUnavailable", "ResponseWriter", "StoredPart",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseBounds:
    """Bounds of a response store. A client is a host: one IPv4 address, or one /64 of IPv6."""

    most_bytes: int = 1 << 30  # one response, its head included
    most_total_bytes: int = 8 << 30  # of all clients; a store on a disk takes at most half of what is free, too
    most_client_bytes: int = 7 << 30  # near the whole: a host may be the gateway of all; an eighth is left for others
    most_promised_bytes: int = 1 << 18  # reserved for each before its program runs: most responses are shorter
    most_responses: int = 1 << 14  # files; a sweep looks at each
    most_client_responses: int = 7 << 11
    most_head_bytes: int = 1 << 16  # as long as one write; heads that clients accept are shorter


class Growth(Enum):
    """Growth of a response: OPEN becomes COMPLETE or CUT, which never change."""

    OPEN = "open"
    COMPLETE = "complete"
    CUT = "cut"


@dataclass(frozen=True, slots=True)
class StoredPart:
    """Bytes of a body from the offset that was asked for, and the whole as it was when they were read.

    `data` may be shorter than asked for, and is empty only at or after `size`, the bytes of the body that are stored.
    When `growth` is not OPEN the size is final.
    """

    head: bytes
    data: bytes
    size: int
    growth: Growth


class ResponseWriter(Protocol):
    """One response being stored, by one task at a time. A method that raised or was cancelled leaves only `close`."""

    @property
    def name(self) -> bytes:
        """16 to 32 bytes by which replicas find the response; random, so it is hard to guess too."""

    async def start(self, head: bytes) -> None:
        """Store the head; raise as `append`."""

    async def append(self, data: Buffer, *, last: bool = False) -> None:
        """Store more of the body; readers may have it when this returns.

        With `last` the response is COMPLETE as soon as these bytes are stored: none that has all of its bytes is CUT.
        `ResponseStoreFull` if it exceeds a bound or the device's room, `ResponseStoreUnavailable` for other failures.
        """

    def close(self) -> None:
        """End the writing, at once or soon, without raising: an incomplete response becomes CUT."""


class ResponseStore(Protocol):
    """Responses by name, shared by replicas. Methods are called on one event loop in each process."""

    @property
    def store_id(self) -> bytes:
        """32 bytes shared by all users of this store's responses, and by no others; empty while it is unavailable."""

    async def begin(self, *, client: bytes) -> ResponseWriter:
        """Return the writer of a new response, for a client of that host (at most 16 bytes).

        Called before the program runs: `ResponseStoreFull` when no response fits now, in total or for this client, and
        `ResponseStoreUnavailable` when none can be stored.
        """

    async def read(self, name: bytes, at: int, most: int) -> StoredPart | None:
        """Return at most so many bytes of the body from offset `at`; None if the response is not here.

        `ResponseStoreUnavailable` when that cannot be known now.
        """

    def note_use(self, name: bytes, *, over: bool = False) -> None:
        """Note that a client reads a response now, be it from memory; or, with `over`, that it has left.

        Responses in use are kept, and others removed where room is needed.
        """

    async def wait(self, name: bytes, beyond: int) -> None:
        """Return when more than `beyond` bytes of the body are there, or no more come; or earlier, for no reason."""


class Pages(Protocol):
    """Complete short responses to safe requests, kept for other replicas: bounded, short-lived, and lost at any time.

    A page that is gone is made again, so methods never raise; the reader checks what it gets.
    """

    def put(self, key: bytes, data: bytes) -> None:
        """Keep the bytes under a key of 32 bytes; other replicas find them when this returns."""

    def get(self, key: bytes) -> bytes | None:
        """Return the bytes that were put, None if they are gone."""
