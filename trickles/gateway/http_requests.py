"""Requests in absolute form to one fleet, one after another on one connection of a user; answers are not read.

Heads are. Of what follows a head that announces a body nothing is: the server hears that this request is the last, and
takes from what follows what it knows to be the body. So nobody's bytes become another's request. A request to elsewhere
goes back to the front once nothing is under way here; before that, the connection ends with what is under way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

from trickles.drivers.addresses import shown
from trickles.drivers.dialer import Dialer
from trickles.gateway.downstream import Downstream
from trickles.gateway.fleet_upstream import FleetUpstream
from trickles.gateway.heads import BadHead, HeadBuffer, ProxyHead
from trickles.gateway.routing import UpstreamRouter
from trickles.gateway.upstream import Activity, Opening


@final
@dataclass(slots=True)
class HttpRequests:
    """Passes on the requests for one fleet by an upstream of its own; `turn_back` takes what goes elsewhere."""

    downstream: Downstream
    router: UpstreamRouter
    dialer: Dialer
    opening: Opening
    turn_back: Callable[[bytes], None]
    upstream: FleetUpstream = field(init=False)
    _heads: HeadBuffer = field(default_factory=HeadBuffer)
    _in_body: bool = False

    def __post_init__(self) -> None:
        self.upstream = FleetUpstream(self.downstream.context, self.dialer, requests=self)

    def __len__(self) -> int:
        return len(self._heads)

    def read(self, data: bytes) -> None:
        if self._in_body:
            self.upstream.write(data)
            return
        self._heads.add(data)
        while self._heads and self._has_sent_head():
            pass

    def _has_sent_head(self) -> bool:
        """Send the next request, if it is all there; return True if another may follow it."""
        try:
            head = self._heads.head()
        except BadHead:
            self._leave()
            return False
        if head is None:
            return False
        if head.tunnel or self.router.find(head.target) is not self.dialer:
            self._leave()
            return False
        self._send(head)
        return not head.last

    def _send(self, head: ProxyHead) -> None:
        fresh = self.upstream.activity is Activity.IDLE
        self.downstream.note_request(shown(head.target), self.opening if fresh else None)
        self._heads.take(head.size_bytes)
        body, self._in_body = self._heads.take() if head.body else b"", head.body
        self.upstream.write(head.rendered(last=head.last) + body)
        if head.last and not head.body:
            self._heads.take()
            self.downstream.ignore_input()

    def _leave(self) -> None:
        """Let the front have what goes elsewhere, or end with what is under way."""
        rest = self._heads.take()
        if self.upstream.activity is Activity.IDLE and self.downstream.is_flushed:
            self.turn_back(rest)
        else:
            self.downstream.ignore_input()
            self.upstream.send_eof()
