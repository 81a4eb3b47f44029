"""What sits behind a listener: an event in, a reply out; the service keeps nothing between the two."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple, Protocol

Buffer = bytes | bytearray | memoryview


class Refusal(IntEnum):
    """Why a listener or its service does not answer; the numbers are on the wire."""

    BUSY = 1  # try again, here or elsewhere
    EXPIRED = 2  # the continuation aged; a fresh one is attached
    ADDRESS = 3  # the client's address changed; a fresh continuation challenges the new path
    EPOCH = 4  # sealed under an epoch this replica does not hold
    NOT_HERE = 5  # another replica may hold that content or handler version
    GONE = 6  # the transfer cannot be continued anywhere
    NO_SPOOL = 8  # input must fit its request here
    FULL = 9  # the spool takes no more of this connection's input
    INPUT_LOST = 10  # this replica's spool does not hold what was committed: upload it again
    WORKING = 7  # not a refusal yet: the service is at work on it, be patient


class Continuation(NamedTuple):
    """What the service wants to be told again: opaque `state` good for output bytes [start, stop).

    `stop` is None while the end is not known. `consumed` is how many input bytes are behind it. With `more`, output
    goes on behind `stop`, but this continuation does not vouch for it: asked for what lies there, the service replies
    with the continuation of the next stretch, from `stop` on. What a client has got of an output is then always vouched
    for by continuations of which each was derived from the one before.
    """

    state: bytes
    start: int
    stop: int | None
    consumed: int
    more: bool = False


class Spooled(NamedTuple):
    """Input bytes [start, stop) that lie in the spool; `read(a, b)` gives any part of them, whole or not at all.

    InputLost when the spool has not, or no longer, all of the part; InputBusy when this replica has forgotten where the
    part lies, and has not found it within the work that one reading may be. A service need not catch them: the client
    then uploads its input again, or asks again.
    """

    start: int
    stop: int
    read: Callable[[int, int], bytes]


class Event(NamedTuple):
    """One request of a client, with everything that is needed to answer it now or later.

    `connection` is 32 bytes that belong to this connection alone, at every replica. `wants` are output ranges in order;
    `budget` bounds the bytes of chunks that are of use in the reply. `early` means that the client's address is not
    proved and the event may be a replay: only safe work may be done. `input_lost` means that the client's input was
    lost on its way and cannot be sent again: nothing but an answer that says so is of use.
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
    other_store: bool = False  # the connection was greeted by a replica that shares another store than this one
    input_lost: bool = False

    @property
    def input_stop(self) -> int:
        """The offset behind all input that is there."""
        return self.spooled.stop if self.spooled else self.input_offset + len(self.input)


class Reply(NamedTuple):
    """Chunks of output `(offset, data)`, a new user continuation if it changed, the output's end if it is known."""

    chunks: tuple[tuple[int, Buffer], ...] = ()
    continuation: Continuation | None = None
    end: int | None = None
    refusal: Refusal | None = None


class Deferred:
    """Returned by a service that answers later: call `resolve` once, on the listener's own thread."""

    __slots__ = ("_callback", "_reply")

    def __init__(self) -> None:
        self._callback: Callable[[Reply], None] | None = None
        self._reply: Reply | None = None

    def resolve(self, reply: Reply) -> None:
        """Give the reply; the listener sends it at once."""
        if self._reply is not None:
            return
        self._reply = reply
        if self._callback is not None:
            self._callback(reply)

    def on_reply(self, callback: Callable[[Reply], None]) -> None:
        """Used by the listener: call back with the reply, now or when it comes."""
        self._callback = callback
        if self._reply is not None:
            callback(self._reply)


class Service(Protocol):
    """The application's side of a listener."""

    def handle(self, event: Event) -> Reply | Deferred:
        """Answer one event; must not block, must not keep anything that correctness needs."""
