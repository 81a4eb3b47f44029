"""The proxy's port: HTTP (RFC 9110 section 3.7) and SOCKS version 5, told apart by the first byte."""

from __future__ import annotations

from trickles.drivers.addresses import shown
from trickles.drivers.dialer import Dialer
from trickles.gateway import guide as ways
from trickles.gateway import socks
from trickles.gateway.forward import Forwarder, Opening
from trickles.gateway.guide import HTTPS, Guide
from trickles.gateway.headbuffer import HeadBuffer
from trickles.gateway.heads import ESTABLISHED, BadHead, RequestHead, error_answer
from trickles.gateway.program import Program
from trickles.gateway.relay import Relay
from trickles.gateway.shared import Shared
from trickles.gateway.socks import BadSocks, Code
from trickles.gateway.targets import Target
from trickles.service import Buffer

_STATUSES = {ways.NOT_ALLOWED: 403, ways.NO_ANSWER: 504, "no answer to the handshake": 504, "no replica answers": 504}
_CODES = {
    ways.NOT_ALLOWED: Code.NOT_ALLOWED,
    ways.REFUSED: Code.REFUSED,
    ways.NO_SUCH_HOST: Code.HOST_UNREACHABLE,
    ways.NO_ANSWER: Code.HOST_UNREACHABLE,
    "no answer to the handshake": Code.HOST_UNREACHABLE,
}


def http_failure(reason: str) -> bytes:
    """The response that says why there is none from the server."""
    return error_answer(_STATUSES.get(reason, 502), reason)


def socks_failure(reason: str) -> bytes:
    """The same as a SOCKS reply."""
    return socks.reply(_CODES.get(reason, Code.FAILED))


TUNNEL = Opening(ESTABLISHED, http_failure)
SOCKS = Opening(socks.reply(Code.SUCCEEDED), socks_failure)
PLAIN = Opening(b"", http_failure)


class Front(Program):
    """A program that has not said yet where it wants to go."""

    def __init__(self, shared: Shared, guide: Guide) -> None:
        super().__init__(shared)
        self._guide = guide
        self._said = HeadBuffer()
        self._greeted = False  # by SOCKS

    def data_received(self, data: bytes) -> None:
        """A piece of what it says."""
        if self._over:
            return
        self._shared.live.asked(self, len(data))
        self._said.add(data)
        try:
            if self._speaks_socks:
                self._socks()
            else:
                self._http()
        except BadHead as error:
            self._misunderstood(str(error), error_answer(error.status, str(error)))
        except BadSocks as error:
            self._misunderstood(str(error), socks.reply(error.code))

    def eof_received(self) -> bool:
        """It says no more: whatever it began is not complete."""
        self._half_closed = True
        if self._said and not self._over:
            self._misunderstood("half a request", b"" if self._speaks_socks else error_answer(400, "half a request"))
        return False

    @property
    def settled(self) -> bool:
        """Whether it has said nothing yet."""
        return not self._over and not self._said and not self._greeted

    def end_input(self) -> None:
        """It takes too long to say where it wants to go."""
        self._shared.tally.timed_out += 1
        answer = b"" if self._speaks_socks else error_answer(408, "request not complete in time")
        self._refuse("request not complete in time", answer)

    @property
    def _speaks_socks(self) -> bool:
        return self._greeted or self._said.data[:1] == bytes((socks.VERSION,))

    def _socks(self) -> None:
        if not self._greeted:
            greeting = socks.greeting_untrusted(self._said.data)
            if greeting is None:
                return
            if not greeting.anonymous:
                self._misunderstood("SOCKS with authentication only", socks.REJECTED)
                return
            assert self._transport is not None
            self._transport.write(socks.CHOSEN)
            self._said.take(greeting.size_bytes)
            self._greeted = True
        request = socks.request_untrusted(self._said.data)
        if request is not None:
            self._said.take(request.size_bytes)
            self._go(request.target, SOCKS, self._said.take())

    def _http(self) -> None:
        head = self._said.head()
        if head is None:
            return
        if head.tunnel:
            self._said.take(head.size_bytes)
            self._go(head.target, TUNNEL, self._said.take())
        else:
            self._ask(head)

    def _ask(self, head: RequestHead) -> None:
        """A request in absolute form: whoever is beyond the fleets answers one, a fleet as many as come for it."""
        way = self._guide.find(head.target)
        if isinstance(way, Dialer):
            self.hand_over(HttpForwarder(self._shared, self._guide, way), self._said.take())
        else:
            self._said.take(head.size_bytes)
            self._go(head.target, PLAIN, head.rendered(last=True) + self._said.take())

    def _go(self, target: Target, opening: Opening, data: bytes) -> None:
        way, certificates = self._guide.find(target), self._guide.certificates
        self.target = name = shown(target)
        if isinstance(way, Dialer) and certificates is not None and target[1] == HTTPS:
            assert self._transport is not None
            self._transport.write(opening.success)
            self.hand_over_secured(certificates, Forwarder(self._shared, way), data, target=name)
        elif isinstance(way, Dialer):
            self.hand_over(Forwarder(self._shared, way, opening), data, target=name)
        elif way is not None:
            self.hand_over(Relay(self._shared, way, target, opening), data, target=name)
        else:
            self._refuse(ways.NOT_ALLOWED, opening.failure(ways.NOT_ALLOWED))

    def _misunderstood(self, why: str, answer: bytes) -> None:
        self._refuse("bad request to the proxy", answer, why)

    def _refuse(self, reason: str, answer: bytes, detail: str = "") -> None:
        if not self._over:
            self.blame(reason, detail)
            self.farewell(answer)


class HttpForwarder(Forwarder):
    """Requests in absolute form to one fleet, one after another on one connection; its answers are not read.

    Heads are. Behind one that announces a body nothing is: the server is told that this request is the last, and takes
    from what follows what it knows to be the body. So nobody's bytes become another's request. A request to elsewhere
    goes back to the front once nothing is under way here; before that, the connection ends with what is under way.
    """

    moves = False

    def __init__(self, shared: Shared, guide: Guide, dialer: Dialer) -> None:
        super().__init__(shared, dialer)
        self._guide = guide
        self._heads = HeadBuffer()
        self._in_body = False
        self._apology = http_failure

    def data_received(self, data: bytes) -> None:
        """Requests, or pieces of them."""
        if self._in_body:
            super().data_received(data)
        elif not self._over and not self._input_ended:
            self._heads.add(data)
            self._shared.live.asked(self, 0)
            while self._heads and self._forwarded_head():
                pass

    def _forwarded_head(self) -> bool:
        """Forward the next request; whether another may follow it."""
        try:
            head = self._heads.head()
        except BadHead:
            head, elsewhere = None, True
        else:
            elsewhere = head is not None and (head.tunnel or self._guide.find(head.target) is not self._dialer)
        if elsewhere:
            self._turn_back()
        if head is None or elsewhere:
            return False
        if self.settled:
            self._apology = http_failure
        self.target = shown(head.target)
        self._heads.take(head.size_bytes)
        body, self._in_body = self._heads.take() if head.body else b"", head.body
        super().data_received(head.rendered(last=head.last) + body)
        if head.last:
            self._heads.take()
            self._input_ended = not head.body
        return not head.last

    def data(self, chunks: list[Buffer]) -> None:
        """An answer has begun: after that only a reset can tell that it does not go on."""
        self._apology = None
        super().data(chunks)

    def _waiting_bytes(self) -> int:
        return super()._waiting_bytes() + len(self._heads)

    def _turn_back(self) -> None:
        transport = self._transport
        assert transport is not None
        assert self._connection is not None
        if self.settled and not transport.get_write_buffer_size():
            self.hand_over(Front(self._shared, self._guide), self._heads.take())
        else:
            self._heads.take()
            self._input_ended = True
            self._connection.client.write_eof()
            self._start()
