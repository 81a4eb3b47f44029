"""The two sides of a gateway's connection, and all that they know of each other.

    user --TCP/TLS-- Downstream --(Upstream)-- fleet, or a host by plain TCP, or a front that has not chosen yet

A `Downstream` calls the six verbs of its `Upstream`; that one calls back with the verbs of `Callbacks`. Who calls what,
and when:

- `start` comes first, once; `close` last, once, and after it nothing is called back.
- `send` brings input as it arrives. It never blocks: an upstream keeps what it cannot pass on, and says so in
  `waiting_bytes`. Over a high-water mark the user is not read from until `consumed` finds it below half of that.
- `send_eof` is the user's half-close. Output still flows.
- `pause` and `resume` follow what the user reads of the output.
- `data` brings output. `output_ended` half-closes towards the user, whose input still goes up; `ended` means that the
  output is complete and that input is not wanted any more: the connection ends in order. `failed` ends it by a reset,
  or by the words of an `Opening` that still waits for its answer.

An upstream may put another one in its place (`Downstream.connect`), which closes it: so fronts choose, and a proxy's
connection goes from one fleet to another. Neither side reads a field of the other.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple, Protocol

from trickles.client.events import Delivery
from trickles.gateway.output_memory import OutputShare
from trickles.service import Buffer

NOTHING_DELIVERED = Delivery({}, {}, 0, 0)


class Activity(Enum):
    """Amount of work of an upstream for its user."""

    BUSY = auto()
    IDLE = auto()  # nothing is under way: the connection may be closed in order
    UNKNOWN = auto()  # it passes bytes on, and cannot say


class Opening(NamedTuple):
    """Words to a user whose protocol has them: before the first byte of output, or in the place of all output."""

    success: bytes
    failure: Callable[[str], bytes]  # for a reason


class Callbacks(Protocol):
    """A downstream, as its upstream sees it."""

    @property
    def share(self) -> OutputShare: ...  # of the memory for what its user has not read
    def connected(self) -> None: ...  # the other end has answered
    def data(self, chunks: list[Buffer]) -> None: ...  # output bytes, in order
    def consumed(self) -> None: ...  # some of the waiting input was passed on
    def output_ended(self) -> None: ...  # half-close: no more output follows, while input is still wanted
    def ended(self) -> None: ...  # end in order: the output is complete
    def failed(self, reason: str) -> None: ...  # end as broken: the output cannot go on
    def refuse_input(self, reason: str) -> None: ...  # drop what the user still writes, and report why


class Upstream(Protocol):
    """The side that answers a user: a fleet, a host, or a front that chooses one of them."""

    @property
    def activity(self) -> Activity: ...  # how much is under way
    @property
    def waiting_bytes(self) -> int: ...  # of input that is kept here and not passed on
    @property
    def window_bytes(self) -> int: ...  # of output that are worth keeping for a user that reads slowly
    @property
    def delivery(self) -> Delivery: ...  # figures of the replicas at work

    def start(self, downstream: Callbacks) -> None: ...  # begin; everything is called back there
    def send(self, data: bytes) -> None: ...  # pass input on
    def send_eof(self) -> None: ...  # no more input follows
    def pause(self) -> None: ...  # bring no more output for now
    def resume(self) -> None: ...  # bring output again
    def request_timed_out(self) -> None: ...  # end the input of a request that was late, as far as one is known here
    def close(self) -> None: ...  # give everything back; nothing is called back any more


class InputReader(Protocol):
    """Reads input on its way to a fleet, and passes on what belongs there."""

    def __len__(self) -> int: ...  # bytes that are kept here
    def read(self, data: bytes) -> None: ...
