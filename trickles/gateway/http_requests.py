"""Requests in absolute form to one fleet, one after another on one user's connection; answers are not parsed.

Only heads are parsed. After a head with a body nothing else is: the request is marked as the last one, and the server
reads its body from the rest. So bytes of a body never become a request. A request to another target goes back to the
front when nothing is under way here; otherwise the connection ends after the requests under way.
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
    """Passes on requests for one fleet to an upstream of its own; `turn_back` takes those for other targets."""

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
        """Send the next request, if its head is complete; return True if another may follow."""
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
        """Give the rest back to the front, or end after the requests under way."""
        rest = self._heads.take()
        if self.upstream.activity is Activity.IDLE and self.downstream.is_flushed:
            self.turn_back(rest)
        else:
            self.downstream.ignore_input()
            self.upstream.send_eof()
