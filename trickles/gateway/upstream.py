"""The interfaces between the two sides of a gateway's connection.

    user --TCP/TLS-- Downstream --(Upstream)-- fleet, or a host by plain TCP, or a front that has not chosen yet

A `Downstream` calls the methods of its `Upstream`, which calls back those of `Callbacks`:

- `start` comes first, once; `close` last, once, and after it nothing is called back.
- `send` passes input as it arrives. It never blocks: an upstream keeps bytes that it cannot pass on, and counts them in
  `waiting_bytes`. Over a high-water mark the user is not read from until `consumed` finds them below half of it.
- `send_eof` is the user's half-close. Output still flows.
- `pause` and `resume` follow the user's reading of output.
- `data` passes output. `output_ended` half-closes towards the user, whose input still goes up; `ended` means that the
  output is complete and input not wanted any more: the connection ends in order. `failed` ends it by a reset, or by the
  `Opening` that still waits for its answer.

An upstream may replace itself by another one (`Downstream.connect`), which closes it: so fronts choose, and a proxy's
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
    """Activity of an upstream for its user."""

    BUSY = auto()
    IDLE = auto()  # nothing is under way: the connection may be closed in order
    UNKNOWN = auto()  # it passes bytes without parsing


class Opening(NamedTuple):
    """Messages for a user whose protocol has them: before the first byte of output, or instead of output."""

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
    def refuse_input(self, reason: str) -> None: ...  # drop further input, and report why


class Upstream(Protocol):
    """The side that answers a user: a fleet, a host, or a front that chooses one of them."""

    @property
    def activity(self) -> Activity: ...  # how much is under way
    @property
    def waiting_bytes(self) -> int: ...  # of input, not passed on yet
    @property
    def window_bytes(self) -> int: ...  # of output, worth keeping for a slow user
    @property
    def delivery(self) -> Delivery: ...  # figures of the replicas at work

    def start(self, downstream: Callbacks) -> None: ...  # begin; call back there
    def send(self, data: bytes) -> None: ...  # pass input on
    def send_eof(self) -> None: ...  # no more input follows
    def pause(self) -> None: ...  # bring no more output for now
    def resume(self) -> None: ...  # bring output again
    def request_timed_out(self) -> None: ...  # end the input of a late request, if requests are parsed here
    def close(self) -> None: ...  # release everything; nothing is called back any more


class InputReader(Protocol):
    """Reader of input on its way to a fleet."""

    def __len__(self) -> int: ...  # bytes that are kept here
    def read(self, data: bytes) -> None: ...
