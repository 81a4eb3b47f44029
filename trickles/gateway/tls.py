"""TLS of a user's connection: a layer that is a protocol to TCP below and a transport to the protocol above.

asyncio's own layer has no half-close, and closes on a slow reader some seconds after the end of its answer. Here
close_notify (RFC 8446 section 6.1) ends one direction, as FIN does for TCP, and an end without it is a broken
connection, whose data may be incomplete.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from trickles.errors import BadPacket
from trickles.gateway import tcp
from trickles.gateway.certificates import ALPN, Certificates
from trickles.gateway.clienthello import MOST_HELLO_BYTES, NO_APPLICATION_PROTOCOL, protocols_untrusted
from trickles.gateway.context import GatewayContext
from trickles.service import Buffer

READ_BYTES = 1 << 16


class TlsLayer(asyncio.Protocol):
    """A TLS handshake, then records; it is in the table of connections until the protocol above is."""

    def __init__(
        self, context: GatewayContext, certificates: Certificates, make_above: Callable[[], asyncio.Protocol]
    ) -> None:
        self._context = context
        self.client = "unknown client"  # its host address
        self._certificates = certificates
        self._make_above = make_above
        self._above: asyncio.Protocol | None = None  # once the handshake is done
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._below: asyncio.Transport | None = None
        self._tls: ssl.SSLObject | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._hello: bytearray | None = bytearray()  # its bytes so far, until it is parsed
        self._heard = False  # anything
        self._paused = False
        self._their_end = False  # close_notify was received
        self.our_end = False  # close_notify was sent: further data is dropped

    # below

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._below = transport
        self.client = tcp.host(transport)
        if not self._context.admit(self, transport):
            return
        self._tls = self._certificates.context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._timer = asyncio.get_running_loop().call_later(self._context.limits.handshake, self.stop, "too slow")

    def data_received(self, data: bytes) -> None:
        self._heard = True
        if self.our_end or self._tls is None:
            return
        self._incoming.write(data)
        if self._hello is not None and not self._is_spoken(self._hello, data):
            return
        if self._above is not None or self._is_shaken(self._tls):
            self.read()

    def eof_received(self) -> bool:
        """Keep the connection open after the user's FIN only if close_notify came before."""
        return self._their_end

    def connection_lost(self, exc: Exception | None) -> None:
        below, self._below = self._below, None
        if self._above is not None:
            self._above.connection_lost(exc)
        elif self._tls is not None:
            self._over(below, "it went away" if self._heard else None)

    def pause_writing(self) -> None:
        if self._above is not None:
            self._above.pause_writing()

    def resume_writing(self) -> None:
        if self._above is not None:
            self._above.resume_writing()

    # the handshake

    def _is_shaken(self, tls: ssl.SSLObject) -> bool:
        below = self._below
        assert below is not None
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except OSError as error:
            self._flush()  # sends the alert
            self._over(below, str(getattr(error, "reason", None) or error).replace("_", " ").lower())
            below.close()
            return False
        self._flush()
        self._over(below, None)
        self._above = self._make_above()
        self._above.connection_made(TlsTransport(self, below, tls))
        return True

    def _is_spoken(self, hello: bytearray, data: bytes) -> bool:
        """Return True if the handshake may go on: the hello is complete, and offers a supported protocol."""
        hello += data
        try:
            offered = protocols_untrusted(hello) if len(hello) <= MOST_HELLO_BYTES else ()
        except BadPacket:
            offered = ()
        if offered is None:
            return False
        self._hello = None
        below = self._below
        if not offered or ALPN.encode() in offered or below is None:
            return True
        below.write(NO_APPLICATION_PROTOCOL)
        self._over(below, "no application protocol")
        below.close()
        return False

    # for the table of connections, during the handshake

    @property
    def idle(self) -> bool:
        """False: a handshake has a bound of its own."""
        return False

    held_back = idle

    def end_input(self) -> None: ...  # no request has begun

    def stop(self, reason: str) -> None:
        below = self._below
        if below is not None:
            self._over(below, reason)
            tcp.reset(below)

    def _over(self, below: asyncio.Transport | None, problem: str | None) -> None:
        """End the handshake, and report a problem if there is one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._context.table.leave(self)
        if problem is not None:
            self._tls = None
            self._context.statistics.fail("TLS handshake")
            self._context.report(tcp.peer(below or self._below), f"TLS handshake: {problem}")

    # for the transport above

    def read(self) -> None:
        """Pass data up, unless reading is paused."""
        tls = self._tls
        above = self._above
        try:
            while tls and above and not self._paused and not self.our_end and not self._their_end:
                data = tls.read(READ_BYTES)
                if data:
                    above.data_received(data)
                else:
                    self._ended()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._ended()
        except ssl.SSLError:  # altered records
            self._broken()
        self._flush()

    def _broken(self) -> None:
        self._tls = None
        if self._below is not None:
            tcp.reset(self._below)

    def _ended(self) -> None:
        self._their_end = True
        if self._above is not None and not self._above.eof_received() and self._below is not None:
            self._below.close()

    def write(self, data: Buffer) -> None:
        tls, rest = self._tls, memoryview(data)
        if tls is None or self.our_end:
            return
        try:
            while rest:
                rest = rest[tls.write(rest) :]
        except ssl.SSLError:
            self._broken()
        self._flush()

    def end(self) -> None:
        if self._tls is not None and not self.our_end:
            self.our_end = True
            with suppress(ssl.SSLError):  # the user's close_notify is not awaited
                self._tls.unwrap()
            self._flush()

    def pause(self) -> None:
        """Pass nothing up until `go_on`."""
        self._paused = True

    def go_on(self) -> None:
        """Pass data up again, from the next turn of the loop on."""
        self._paused = False
        asyncio.get_running_loop().call_soon(self.read)

    def _flush(self) -> None:
        if self._outgoing.pending and self._below is not None and not self._below.is_closing():
            self._below.write(self._outgoing.read())


class TlsTransport(asyncio.Transport):
    """The transport above TLS: clear bytes, and ends of directions."""

    def __init__(self, layer: TlsLayer, below: asyncio.Transport, tls: ssl.SSLObject) -> None:
        super().__init__({"sslcontext": tls.context, "ssl_object": tls})
        self._layer = layer
        self._below = below

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        found = super().get_extra_info(name)
        return self._below.get_extra_info(name, default) if found is None else found

    def write(self, data: Buffer) -> None:
        """Send data; unsent bytes wait in the transport below."""
        self._layer.write(data)

    def write_eof(self) -> None:
        """Half-close by close_notify; further data from the user is dropped."""
        self._layer.end()
        self._below.write_eof()

    def close(self) -> None:
        self._layer.end()
        self._below.close()

    def abort(self) -> None:
        """Close at once without close_notify, so that the user notices that data is missing."""
        self._below.abort()

    def is_closing(self) -> bool:
        return self._below.is_closing()

    def pause_reading(self) -> None:
        self._layer.pause()
        self._below.pause_reading()

    def resume_reading(self) -> None:
        self._below.resume_reading()
        self._layer.go_on()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._below.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return the encrypted bytes that the kernel has not taken yet."""
        return self._below.get_write_buffer_size()
