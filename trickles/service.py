"""The service interface: an event in, a reply out, and no state between the two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Protocol

from trickles.promise import Promise

Buffer = bytes | bytearray | memoryview
MOST_HEARTBEAT_BYTES = 64


class Refusal(IntEnum):
    """Reasons of a refusal; the numbers are on the wire."""

    BUSY = 1  # try again, here or elsewhere
    EXPIRED = 2  # the continuation aged; a fresh one is attached
    ADDRESS = 3  # the client's address changed; a fresh continuation challenges the new path
    EPOCH = 4  # sealed under an epoch this replica does not hold
    NOT_HERE = 5  # another replica may hold that content or handler version
    GONE = 6  # the transfer cannot be continued anywhere
    NO_SPOOL = 8  # input must fit its request here
    FULL = 9  # the spool takes no more of this connection's input
    INPUT_LOST = 10  # this replica's spool lacks committed input: upload it again
    ENDING = 11  # this replica begins nothing more: try another one
    WORKING = 7  # no refusal yet: the service is at work on it


class Continuation(NamedTuple):
    """A user continuation: opaque `state` from which the service makes output bytes [start, stop).

    `stop` is None while the end is not known. `consumed` counts the input bytes before it. With `more`, output goes on
    after `stop`, but this continuation does not cover it: a request for those bytes is answered with the next
    continuation, from `stop` on. So each continuation of an output is derived from the one before it.
    """

    state: bytes
    start: int
    stop: int | None
    consumed: int
    more: bool = False


class Spooled(NamedTuple):
    """Input bytes [start, stop) in the spool; `read(a, b)` returns any part of them, whole, or raises InputLost.

    InputBusy when this replica must read more of the spool to find the part than one read may. A service need not catch
    them: the client then uploads its input again, or asks again.
    """

    start: int
    stop: int
    read: Callable[[int, int], bytes]


class Event(NamedTuple):
    """One request of a client, with all that a service needs to answer it now or later.

    `connection` is 32 bytes that belong to this connection alone, at every replica. `wants` are output ranges in order;
    more than `budget` bytes of chunks do not fit the reply. `early`: the client's address is not proved and the event
    may be a replay, so only safe work may be done. `input_lost`: the client's input was lost and cannot be sent again,
    so only an answer that reports it is of use.
    """

    connection: bytes
    peer: str
    early: bool
    input_offset: int
    input: bytes
    input_end: bool
    continuation: Continuation | None
    wants: tuple[tuple[int, int], ...]
    budget: int
    spooled: Spooled | None = None  # when the input came through the spool; `input` is its beginning
    other_store: bool = False  # the replica that greeted the connection has another store
    input_lost: bool = False

    @property
    def input_stop(self) -> int:
        return self.spooled.stop if self.spooled else self.input_offset + len(self.input)


class Reply(NamedTuple):
    """A reply: chunks of output `(offset, data)`, a new user continuation if it changed, the output's end if known."""

    chunks: tuple[tuple[int, Buffer], ...] = ()
    continuation: Continuation | None = None
    end: int | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Bytes that a client inserts into a quiet output, at the offset that a parked request asks for, each `every_us`.

    They are no output of the service, have no offset, and travel in clear. `subject` is equal for requests that wait
    for the same news, at all replicas; towards clients it is 8 bytes that follow from it. ValueError for no data, or
    too many bytes.
    """

    data: bytes
    every_us: int
    subject: bytes = b""

    def __post_init__(self) -> None:
        if not 0 < len(self.data) <= MOST_HEARTBEAT_BYTES:
            raise ValueError(f"a heartbeat has 1 to {MOST_HEARTBEAT_BYTES} bytes")


class Deferred(Promise[Reply]):
    """The promise of a later reply, which the listener sends at once.

    `parked`: the reply waits for something that may take long; the client gets a notice at once, with the `heartbeat`.
    """

    __slots__ = ("heartbeat", "parked")

    def __init__(self, *, parked: bool = False, heartbeat: Heartbeat | None = None) -> None:
        super().__init__()
        self.parked = parked
        self.heartbeat = heartbeat


class Service(Protocol):
    """The interface of an application towards a listener.

    It may have a method `left(connection)` besides: the client of that connection has left, or is silent for long. Work
    for it that can be done again, here or elsewhere, should end then; a client may be alive nevertheless.
    """

    def handle(self, event: Event) -> Reply | Deferred:
        """Answer one event, without blocking, and without keeping state that correctness needs."""
