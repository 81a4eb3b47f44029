"""The TCP connection of a program, whatever it is connected to: admitted, told of, and left in order or by a reset."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from trickles.drivers.addresses import Address, shown
from trickles.gateway import tcp
from trickles.gateway.account import Account, Completion
from trickles.gateway.certificates import Certificates
from trickles.gateway.shared import Shared
from trickles.gateway.tls import TlsLayer

Ending = tuple[Completion, str]


class Program(asyncio.Protocol):
    """One program; `begin` says what happens once there is room for it, and `release` what ends with it.

    It can hand its connection over to another Program, which goes on where it stands.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.client = "unknown client"  # its host address
        self.target = ""  # where it wants to go, in the modes that know
        self._transport: asyncio.Transport | None = None
        self._descriptor = -1  # of the program's socket, where bytes may be written past the transport: not under TLS
        self._timer: asyncio.TimerHandle | None = None
        self._reading = True
        self._half_closed = False  # by the program
        self._over = False  # ended, failed or refused: nothing more crosses
        self.bytes_in = 0  # from the program
        self.bytes_out = 0
        self._began = asyncio.get_running_loop().time()
        self._ending: Ending | None = Completion.CLOSED, ""  # how it ends, and why; None: it goes on elsewhere
        self._unread_bytes = 0  # of a complete answer, when last looked at
        self._taken_at = 0.0  # when the program last took some of them

    def begin(self) -> None:
        """There is room for it."""

    def release(self) -> None:
        """Nothing more crosses: give back what was behind it."""

    def packets(self) -> Mapping[Address, int]:
        """Packets that brought something, by replica."""
        return {}

    def account(self, completion: Completion, reason: str) -> Account:
        """What is known of it at its end; more where there is more behind it."""
        lasted = asyncio.get_running_loop().time() - self._began
        return Account(
            client=self._peer(),
            began=time.time() - lasted,
            duration=lasted,
            completion=completion,
            reason=reason,
            target=self.target,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
        )

    # the place in the crowd

    @property
    def settled(self) -> bool:
        """Whether nothing is under way: it may be closed in order."""
        return not self._over

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, and the program has read all."""
        return self.settled and self._transport is not None and not tcp.unread_bytes(self._transport)

    @property
    def held_back(self) -> bool:
        """Whether it is not read from, or does not read itself."""
        return not self._reading

    def end_input(self) -> None:
        """Its request was not complete in time."""

    def stop(self, reason: str) -> None:
        """An idle connection is closed, another fails."""
        if self._transport is not None and self.settled:
            self._ending = Completion.CLOSED, reason
            self._finish()
            self._transport.close()
        else:
            self.failed(reason)

    def failed(self, reason: str) -> None:
        """It cannot go on: the program must notice, so the connection is reset."""
        if not self._over:
            self.blame(reason)
            self._finish()
        self._reset()

    def blame(self, reason: str, detail: str = "") -> None:
        """Tell of a failure, and remember it as what ends this; a detail is told, but makes no reason of its own."""
        self._shared.tally.fail(reason)
        self._tell(reason, detail)
        self._ending = Completion.FAILED, reason

    # TCP

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A program connected."""
        self._use(transport)
        shared = self._shared
        if (reason := shared.live.refusal(self.client)) is not None:
            shared.tally.refused += 1
            self._over = True
            self._tell(reason)
            self._reset()
            return
        shared.live.join(self)
        shared.tally.accepted += 1
        self.begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """The program is gone."""
        if not self._over:
            if exc is not None:
                self._shared.tally.reset += 1
                self._ending = Completion.RESET, ""
            self._finish()
        self._shared.live.leave(self)
        self._cancel()
        self._transport = None
        self._descriptor = -1

    def hand_over(self, successor: Program, data: bytes = b"", *, target: str = "") -> None:
        """Let another go on towards its target, beginning with bytes of the program that it has not seen."""
        transport = self._let_go()
        if transport is None:
            return
        successor.target = target
        transport.set_protocol(successor)
        successor.adopt(transport, half_closed=self._half_closed)
        if data:
            successor.data_received(data)
        if self._half_closed:
            successor.eof_received()

    def hand_over_secured(
        self, certificates: Certificates, successor: Program, data: bytes = b"", *, target: str = ""
    ) -> None:
        """The same behind a TLS handshake; after that the successor begins like a fresh connection."""
        transport = self._let_go()
        if transport is None:
            return
        self._shared.tally.accepted -= 1  # it will be counted again
        successor.target = target
        layer = TlsLayer(self._shared, certificates, successor)
        transport.set_protocol(layer)
        layer.connection_made(transport)
        if data:
            layer.data_received(data)
        if self._half_closed:
            transport.close()

    def _let_go(self) -> asyncio.Transport | None:
        """The connection, if it still stands; this program is over."""
        self._read_on()
        transport = self._transport
        if not self.bytes_out:  # it was only on the way to another
            self._ending = None
        self._finish()
        self._transport = None
        self._shared.live.leave(self)
        return None if transport is None or transport.is_closing() else transport

    def adopt(self, transport: asyncio.Transport, *, half_closed: bool) -> None:
        """Go on with a connection that was admitted before."""
        self._use(transport)
        self._half_closed = half_closed
        self._shared.live.join(self)
        self.begin()

    def _use(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if transport.get_extra_info("sslcontext") is None:
            self._descriptor = transport.get_extra_info("socket").fileno()
        self.client = (transport.get_extra_info("peername") or (self.client,))[0]

    # the end

    def farewell(self, data: bytes = b"") -> None:
        """Write that, and close after its last byte once the program has closed too.

        Closing while it still writes would reset the connection and might cost it the end of the answer.
        """
        self._finish()
        transport = self._transport
        if transport is None:
            return
        if data:
            transport.write(data)
        if self._half_closed or not transport.can_write_eof():
            transport.close()
            return
        tcp.half_close(transport)
        self._read_on()
        self._after(self._shared.limits.linger, self._lingered)

    def _finish(self) -> None:
        if not self._over and self._ending is not None and self._shared.watchers:
            account = self.account(*self._ending)
            for watcher in self._shared.watchers:
                watcher(account)
        self._over = True
        self._cancel()
        self.release()

    def _lingered(self) -> None:
        """The program had time to close; while it still takes the answer it gets more."""
        transport = self._transport
        if transport is None:
            return
        limits, now, unread = self._shared.limits, asyncio.get_running_loop().time(), tcp.unread_bytes(transport)
        if unread != self._unread_bytes:
            self._unread_bytes, self._taken_at = unread, now
        if unread == 0:
            transport.close()
        elif now - self._taken_at > limits.stuck:
            self._reset()
        else:
            self._after(limits.linger, self._lingered)

    def _reset(self) -> None:
        if self._transport is not None:
            tcp.reset(self._transport)

    # reading

    def _stop_reading(self) -> None:
        assert self._transport is not None
        self._reading = False
        self._transport.pause_reading()
        self._after(self._shared.limits.look_every, self._look)

    def _read_on(self) -> None:
        if not self._reading and self._transport is not None:
            self._cancel()
            self._reading = True
            self._transport.resume_reading()

    def _look(self) -> None:
        """Who is not read from can go unnoticed: the loop does not watch its socket."""
        transport = self._transport
        if transport is not None and tcp.is_gone(transport):
            self._read_on()  # which meets the reset
        else:
            self._after(self._shared.limits.look_every, self._look)

    def _took(self, size_bytes: int) -> None:
        """The program wrote so much."""
        self.bytes_in += size_bytes
        self._shared.tally.bytes_in += size_bytes

    def _gave(self, size_bytes: int) -> None:
        """So much is on its way to the program."""
        self.bytes_out += size_bytes
        self._shared.tally.bytes_out += size_bytes

    def _peer(self) -> str:
        peer = self._transport.get_extra_info("peername") if self._transport is not None else None
        return shown(peer) if peer else "unknown client"

    def _tell(self, reason: str, detail: str = "") -> None:
        detail = detail or self.target
        self._shared.report(self._peer(), f"{reason} ({detail})" if detail else reason)

    def _after(self, seconds: float, callback: Callable[[], None]) -> None:
        self._cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, callback)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
