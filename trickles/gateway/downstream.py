"""A user's connection, TCP or TLS, from its admission to its end.

One class for all modes. It owns the transport towards the user and its accounting; it is connected to an `Upstream`
(see `upstream.py` for the calls between the two), which may change.

States, by `_over`, `_upstream` and `_transport`:

    new        not over, no upstream    made by a listening socket or above a TLS layer
    connected  not over, an upstream    from `connect` on; a front is an upstream; each has its own `Accounting`
    lingering  over, a transport        the answer is complete: wait until the user has read it and closed
    gone       over, no transport

Invariants:

- It ends once, by `_finish`, which writes the record and closes the upstream. No bytes pass after that; input after a
  complete answer is dropped.
- A whole answer ends by a half-close (`Linger`), one that is not whole by RST: after a plain close half an answer
  would look like a whole one.
- The user is not read from while the upstream has too much waiting (`ReadGate`).
- A record covers the time with one upstream. An upstream that was replaced before any output has none.
- Writes go past the transport as long as its buffer is empty (`tcp.written_at_once`): one system call, and nothing is
  joined or copied. Under TLS they do not; `_descriptor` is -1 there.

Tried and given up: fronts and forwarders as subclasses of one class, with a change of the transport's protocol. Each
class had to know the state of the other. A front that is an upstream passes on only the bytes that it has not parsed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, final

from trickles.gateway import tcp
from trickles.gateway.accesslog import Completion
from trickles.gateway.accounting import Accounting, ConnectionSnapshot
from trickles.gateway.certificates import Certificates
from trickles.gateway.context import GatewayContext
from trickles.gateway.output_memory import OutputShare
from trickles.gateway.tcp_timers import HalfCloseWatch, Linger, ReadGate
from trickles.gateway.tls import TlsLayer
from trickles.gateway.upstream import NOTHING_DELIVERED, Activity, Opening, Upstream
from trickles.service import Buffer

Begin = Callable[["Downstream"], None]


@final
class Downstream(asyncio.Protocol):
    """One connection of a user; once it is admitted, `begin` connects it to an upstream.

    With an `accounting` it was admitted before: for a TLS handshake, or in another process.
    """

    def __init__(self, context: GatewayContext, begin: Begin, accounting: Accounting | None = None) -> None:
        self.context = context
        self._begin = begin
        self._admitted = accounting is not None
        self._accounting = accounting or Accounting(context)
        self.client = "unknown client"  # its host address
        self.share = OutputShare(context.memory)
        self._transport: asyncio.Transport | None = None
        self._descriptor = -1  # of the user's socket; -1 where writes must not bypass the transport
        self._upstream: Upstream | None = None
        self._opening: Opening | None = None  # while a failure can be reported by it
        self._gate = ReadGate(context.limits.look_every)
        self._linger: Linger | None = None
        self._half_close_watch: HalfCloseWatch | None = None  # of a user that has closed its half
        self._paused = False  # the upstream, because the user reads slowly
        self._draining = False  # the upstream is paused, because the connection is about to move
        self._half_closed = False  # by the user
        self._input_ended = self._accounting.input_ended  # on behalf of the user: further input is dropped
        self._over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if transport.get_extra_info("sslcontext") is None:
            self._descriptor = transport.get_extra_info("socket").fileno()
        self.client = tcp.host(transport)
        if self._admitted:
            self.context.table.join(self)
        elif self.context.admit(self, transport):
            self.context.statistics.accepted += 1
        else:
            self._over = True
            return
        self._begin(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and not self._over:
            self.context.statistics.reset += 1
        self._finish(Completion.CLOSED if exc is None else Completion.RESET)
        self.context.table.leave(self)
        if self._linger is not None:
            self._linger.cancel()
        self._gate.forget()
        self.share.release()
        self._transport = None
        self._descriptor = -1

    # choosing an upstream

    def connect(
        self, upstream: Upstream, data: bytes = b"", *, target: str = "", opening: Opening | None = None
    ) -> None:
        """Connect to that upstream, beginning with `data`, input that the last one has not passed on."""
        if self._upstream is not None:
            self._change_upstream(self._upstream, len(data))
        self._upstream, self._opening = upstream, opening
        self._accounting.target = target or self._accounting.target
        upstream.start(self)
        if self._upstream is upstream:
            self._limit_buffer()
            if data:
                self._send(data)
            if self._half_closed and self._upstream is upstream:
                upstream.send_eof()

    def _change_upstream(self, upstream: Upstream, moving_bytes: int) -> None:
        """Close the last upstream; input that moves on counts for the next."""
        self._gate.open()
        self._accounting.bytes_in -= moving_bytes
        if self._accounting.bytes_out:
            self._record(Completion.CLOSED)
        upstream.close()
        self._accounting = Accounting(self.context, bytes_in=moving_bytes)
        self.context.table.leave(self)
        self.context.table.join(self)

    def secure(self, certificates: Certificates, begin: Begin, data: bytes = b"", *, target: str) -> None:
        """Begin a TLS handshake with `data`; afterwards `begin` connects another downstream."""
        transport = self._transport
        self._gate.open()
        self._finish(None)
        self.context.table.leave(self)
        self._transport = None
        if transport is not None and not transport.is_closing():
            above = partial(Downstream, self.context, begin, Accounting(self.context, target))
            layer = TlsLayer(self.context, certificates, above)
            transport.set_protocol(layer)
            layer.connection_made(transport)
            if data:
                layer.data_received(data)
            if self._half_closed:
                transport.close()

    def note_request(self, target: str, opening: Opening | None) -> None:
        """Note the next request; with an opening its failure can be reported until its answer begins."""
        self._accounting.target = target
        self._opening = opening or self._opening

    # output

    def connected(self) -> None:
        """Send the opening's success; after it failures cannot be reported."""
        opening, self._opening = self._opening, None
        if opening is not None:
            self.say(opening.success)

    def data(self, chunks: list[Buffer]) -> None:
        """Write output; after it only a reset can signal a failure."""
        transport, upstream = self._transport, self._upstream
        if transport is None or upstream is None:
            return
        self._opening = None
        output_bytes = self._accounting.note_output(sum(map(len, chunks)))
        self.context.table.on_output(self, more=upstream.waiting_bytes > 0)
        if self._descriptor >= 0 and not transport.get_write_buffer_size():
            chunks = tcp.written_at_once(self._descriptor, chunks)
        if chunks:
            transport.write(chunks[0] if len(chunks) == 1 else b"".join(chunks))
            if self._paused:
                self.share.note_transport(transport.get_write_buffer_size())
        if output_bytes >= self.share.look_at_bytes and self.share.note_read(output_bytes, tcp.unread_bytes(transport)):
            tcp.allow_unsent(transport)

    def output_ended(self) -> None:
        """Half-close; further input still goes up."""
        self._opening = None
        if self._transport is not None and not self._over:
            tcp.half_close(self._transport)

    def ended(self) -> None:
        self.context.statistics.completed += 1
        self._finish(Completion.COMPLETE)
        self._close_after_output()

    def failed(self, reason: str) -> None:
        """End with the opening's failure, if there is one, else by a reset, which the user notices."""
        if self._opening is not None and not self._over:
            self.refuse(reason, self._opening.failure(reason))
            return
        self._blame(reason)
        if self._transport is not None:
            tcp.reset(self._transport)

    def refuse(self, reason: str, answer: bytes, detail: str = "") -> None:
        """End with that answer; a detail is reported, but does not count as a reason of its own."""
        if not self._over:
            self._blame(reason, detail)
            self.say(answer)
            self._close_after_output()

    def say(self, data: bytes) -> None:
        """Write the gateway's own bytes, which are not counted."""
        if data and self._transport is not None:
            self._transport.write(data)

    @property
    def upstream(self) -> Upstream | None:
        """The present upstream; None once the connection is over."""
        return self._upstream

    def extra_info(self, name: str) -> Any:
        return self._transport.get_extra_info(name) if self._transport is not None else None

    @property
    def is_flushed(self) -> bool:
        return self._transport is not None and not self._transport.get_write_buffer_size()

    def pause_writing(self) -> None:
        self._paused = True
        if self._upstream is not None:
            self._upstream.pause()

    def resume_writing(self) -> None:
        self._paused = False
        self.share.note_transport(0)
        if self._upstream is not None and not self._draining:
            self.context.table.touch(self)
            self._upstream.resume()

    # input

    def data_received(self, data: bytes) -> None:
        """Pass input on, unless it is not wanted any more."""
        if not self._over and not self._input_ended:
            self._accounting.note_input(len(data))
            self._send(data)

    def _send(self, data: bytes) -> None:
        self.context.table.on_input(self, len(data))
        if self._upstream is not None:
            self._upstream.send(data)
        upstream = self._upstream  # may be another one now
        if upstream is not None and upstream.waiting_bytes > self.context.limits.input_high_water:
            self._gate.shut(self._transport)

    def consumed(self) -> None:
        low_bytes = self.context.limits.input_high_water // 2
        if self._gate.is_shut and self._upstream is not None and self._upstream.waiting_bytes < low_bytes:
            self._gate.open()

    def eof_received(self) -> bool:
        """Pass on the user's half-close; the answer still goes back, unless a limit says that the user has left."""
        self._half_closed = True
        if self._upstream is not None:
            self._upstream.send_eof()
        if not self._over and self.context.limits.half_close:
            self._half_close_watch = HalfCloseWatch(self.context.limits.half_close, self._read_bytes, self._left)
        return not self._over

    def _read_bytes(self) -> int | None:
        """Return the bytes of output, None while the user has not read them all."""
        transport = self._transport
        if transport is None or not self.is_flushed or tcp.unread_bytes(transport):
            return None
        return self._accounting.bytes_out

    def _left(self) -> None:
        """End a connection whose user has closed it, as far as can be known."""
        self.context.statistics.reset += 1
        self._finish(Completion.RESET)
        if self._transport is not None:
            tcp.reset(self._transport)

    def ignore_input(self) -> None:
        self._input_ended = True

    def refuse_input(self, reason: str) -> None:
        """Drop further input, and report why."""
        self.ignore_input()
        self.context.statistics.timed_out += 1
        self._report(reason)

    # for the table of connections

    @property
    def idle(self) -> bool:
        """True when nothing is known to be under way, and the user has read all output."""
        upstream, transport = self._upstream, self._transport
        busy = upstream is None or upstream.activity is Activity.BUSY
        return not busy and transport is not None and not tcp.unread_bytes(transport)

    @property
    def held_back(self) -> bool:
        return self._gate.is_shut or self._paused

    def end_input(self) -> None:
        """End the input of a request that was not complete in time, as the upstream defines it."""
        if self._upstream is not None and not self._half_closed and not self._input_ended:
            self._upstream.request_timed_out()

    def stop(self, reason: str) -> None:
        """Close the connection if nothing is under way, else let it fail."""
        if self._upstream is not None and self._upstream.activity is Activity.IDLE:
            self.close(reason)
        else:
            self.failed(reason)

    # the end

    def close(self, reason: str = "") -> None:
        self._finish(Completion.CLOSED, reason)
        if self._transport is not None:
            self._transport.close()

    def _blame(self, reason: str, detail: str = "") -> None:
        if not self._over:
            self.context.statistics.fail(reason)
            self._report(reason, detail)
            self._finish(Completion.FAILED, reason)

    def _finish(self, completion: Completion | None, reason: str = "") -> None:
        """End the connection once; without a completion it goes on elsewhere."""
        if self._over:
            return
        if completion is not None:
            self._record(completion, reason)
        self._over = True
        if self._half_close_watch is not None:
            self._half_close_watch.cancel()
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.close()

    def _close_after_output(self) -> None:
        transport = self._transport
        if transport is None:
            return
        if self._half_closed:
            transport.close()
        else:
            self._linger = Linger(transport, self.context.limits)
            self._gate.open()

    def _record(self, completion: Completion, reason: str = "") -> None:
        if self.context.watchers:
            delivery = self._upstream.delivery if self._upstream is not None else NOTHING_DELIVERED
            self._accounting.end(tcp.peer(self._transport), completion, reason, delivery)

    def _report(self, reason: str, detail: str = "") -> None:
        detail = detail or self._accounting.target
        self.context.report(tcp.peer(self._transport), f"{reason} ({detail})" if detail else reason)

    # leaving for another process, see `migration.py`

    def drain(self) -> bool:
        """Ask for no more output; return True once all output has left."""
        transport = self._transport
        if self._opening is not None or self._descriptor < 0 or transport is None or transport.is_closing():
            return False
        if not self._draining and self._upstream is not None:
            self._draining = True
            self._upstream.pause()
            transport.set_write_buffer_limits(high=0)
        return self.is_flushed

    def snapshot(self) -> tuple[ConnectionSnapshot, int]:
        """Stop reading; return the state for another process, and a descriptor of the socket."""
        assert self._transport is not None
        self._transport.pause_reading()
        return self._accounting.snapshot(input_ended=self._input_ended), self._descriptor

    def stay(self) -> bool:
        """Resume here; return False if it was not about to leave."""
        transport, was_draining = self._transport, self._draining
        self._draining = False
        if was_draining and transport is not None and self._upstream is not None:
            self._limit_buffer()
            if not self._gate.is_shut:
                transport.resume_reading()
        return was_draining

    def gone(self) -> None:
        """Forget the connection silently: another process has it."""
        transport = self._transport
        self._finish(None)
        if transport is not None:
            transport.abort()  # the other process has a duplicate of the descriptor

    def _limit_buffer(self) -> None:
        if self._transport is not None and self._upstream is not None:
            high = min(self.context.memory.high_bytes, self._upstream.window_bytes)
            self._transport.set_write_buffer_limits(high=high)
