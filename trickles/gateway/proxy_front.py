"""The proxy's port: HTTP (RFC 9110 section 3.7) and SOCKS version 5, distinguished by the first byte."""

from __future__ import annotations

from functools import partial
from typing import final

from trickles.client.events import Delivery
from trickles.drivers.addresses import shown
from trickles.drivers.dialer import Dialer
from trickles.gateway import routing, socks
from trickles.gateway.downstream import Downstream
from trickles.gateway.fleet_upstream import TOO_LATE, FleetUpstream
from trickles.gateway.forward_front import forwarded
from trickles.gateway.heads import ESTABLISHED, BadHead, HeadBuffer, ProxyHead, error_answer
from trickles.gateway.http_requests import HttpRequests
from trickles.gateway.routing import HTTPS, Target, UpstreamRouter
from trickles.gateway.socks import BadSocks, Code
from trickles.gateway.tcp_upstream import TcpUpstream
from trickles.gateway.upstream import NOTHING_DELIVERED, Activity, Callbacks, Opening

_NO_ANSWER = ("no answer to the handshake", "no replica answers")
_STATUSES = {routing.NOT_ALLOWED: 403, routing.NO_ANSWER: 504, **dict.fromkeys(_NO_ANSWER, 504)}
_CODES = {
    routing.NOT_ALLOWED: Code.NOT_ALLOWED,
    routing.REFUSED: Code.REFUSED,
    routing.NO_SUCH_HOST: Code.HOST_UNREACHABLE,
    routing.NO_ANSWER: Code.HOST_UNREACHABLE,
    _NO_ANSWER[0]: Code.HOST_UNREACHABLE,
}


def http_failure(reason: str) -> bytes:
    """Return a response with the reason why there is none from the server."""
    return error_answer(_STATUSES.get(reason, 502), reason)


def socks_failure(reason: str) -> bytes:
    """Return a SOCKS reply for that reason."""
    return socks.reply(_CODES.get(reason, Code.FAILED))


TUNNEL = Opening(ESTABLISHED, http_failure)
SOCKS = Opening(socks.reply(Code.SUCCEEDED), socks_failure)
PLAIN = Opening(b"", http_failure)


def proxied(router: UpstreamRouter, downstream: Downstream, data: bytes = b"") -> None:
    """Connect a user to a proxy front; `data` is its input so far."""
    downstream.connect(ProxyFront(downstream, router), data)


@final
class ProxyFront:
    """An upstream that reads a user's target, and connects the user to another upstream."""

    window_bytes = 1 << 16
    waiting_bytes = 0  # requests are short, or refused
    delivery: Delivery = NOTHING_DELIVERED

    def __init__(self, downstream: Downstream, router: UpstreamRouter) -> None:
        self._downstream = downstream
        self._router = router
        self._input = HeadBuffer()
        self._greeted = False  # by SOCKS

    @property
    def activity(self) -> Activity:
        return Activity.BUSY if self._input or self._greeted else Activity.IDLE

    def start(self, downstream: Callbacks) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def close(self) -> None: ...

    def send(self, data: bytes) -> None:
        self._input.add(data)
        try:
            if self._speaks_socks:
                self._read_socks()
            else:
                self._read_http()
        except BadHead as error:
            self._refuse(str(error), error_answer(error.status, str(error)))
        except BadSocks as error:
            self._refuse(str(error), socks.reply(error.code))

    def send_eof(self) -> None:
        """Refuse an incomplete request, or close the connection."""
        if self._input:
            self._refuse("half a request", b"" if self._speaks_socks else error_answer(400, "half a request"))
        else:
            self._downstream.close()

    def request_timed_out(self) -> None:
        """Refuse a user whose request for a target is late."""
        self._downstream.context.statistics.timed_out += 1
        self._downstream.refuse(TOO_LATE, b"" if self._speaks_socks else error_answer(408, TOO_LATE))

    @property
    def _speaks_socks(self) -> bool:
        return self._greeted or self._input.data[:1] == bytes((socks.VERSION,))

    def _read_socks(self) -> None:
        if not self._greeted:
            greeting = socks.greeting_untrusted(self._input.data)
            if greeting is None:
                return
            if not greeting.anonymous:
                self._refuse("SOCKS with authentication only", socks.REJECTED)
                return
            self._downstream.say(socks.CHOSEN)
            self._input.take(greeting.size_bytes)
            self._greeted = True
        request = socks.request_untrusted(self._input.data)
        if request is not None:
            self._input.take(request.size_bytes)
            self._connect(request.target, SOCKS, self._input.take())

    def _read_http(self) -> None:
        head = self._input.head()
        if head is None:
            return
        if head.tunnel:
            self._input.take(head.size_bytes)
            self._connect(head.target, TUNNEL, self._input.take())
        else:
            self._ask(head)

    def _ask(self, head: ProxyHead) -> None:
        """Pass on a request in absolute form: a host without a fleet gets one, a fleet all that follow."""
        downstream, router = self._downstream, self._router
        route = router.find(head.target)
        if isinstance(route, Dialer):
            requests = HttpRequests(downstream, router, route, PLAIN, partial(proxied, router, downstream))
            downstream.connect(requests.upstream, self._input.take(), opening=PLAIN)
        else:
            self._input.take(head.size_bytes)
            self._connect(head.target, PLAIN, head.rendered(last=True) + self._input.take())

    def _connect(self, target: Target, opening: Opening, data: bytes) -> None:
        downstream, context, name = self._downstream, self._downstream.context, shown(target)
        route, certificates = self._router.find(target), self._router.certificates
        if isinstance(route, Dialer) and certificates is not None and target[1] == HTTPS:
            downstream.say(opening.success)
            downstream.secure(certificates, partial(forwarded, route), data, target=name)
        elif isinstance(route, Dialer):
            downstream.connect(FleetUpstream(context, route, at_once=True), data, target=name, opening=opening)
        elif route is not None:
            downstream.connect(TcpUpstream(context, route, target), data, target=name, opening=opening)
        else:
            downstream.note_request(name, None)
            downstream.refuse(routing.NOT_ALLOWED, opening.failure(routing.NOT_ALLOWED))

    def _refuse(self, why: str, answer: bytes) -> None:
        self._downstream.refuse("bad request to the proxy", answer, why)
