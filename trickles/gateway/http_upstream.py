"""Requests in absolute form to one fleet, one after another on one connection of a user; answers are not read.

Heads are. Of what follows a head that announces a body nothing is: the server hears that this request is the last, and
takes from what follows what it knows to be the body. So nobody's bytes become another's request. A request to elsewhere
goes back to the front once nothing is under way here; before that, the connection ends with what is under way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from trickles.client.events import Delivery
from trickles.drivers.addresses import shown
from trickles.drivers.dialer import Dialer
from trickles.gateway.downstream import Downstream
from trickles.gateway.fleet_upstream import FleetUpstream
from trickles.gateway.heads import BadHead, HeadBuffer
from trickles.gateway.routing import Router
from trickles.gateway.upstream import Activity, Callbacks, Opening


@final
class HttpUpstream:
    """A fleet that gets whole requests; `turn_back` takes those to elsewhere."""

    def __init__(
        self,
        downstream: Downstream,
        router: Router,
        dialer: Dialer,
        opening: Opening,
        turn_back: Callable[[bytes], None],
    ) -> None:
        self._downstream = downstream
        self._router = router
        self._dialer = dialer
        self._opening = opening
        self._turn_back = turn_back
        self._fleet = FleetUpstream(downstream.context, dialer)
        self._heads = HeadBuffer()
        self._in_body = False

    @property
    def activity(self) -> Activity:
        """As the fleet's."""
        return self._fleet.activity

    @property
    def waiting_bytes(self) -> int:
        """Input that no replica has taken, or that is no whole head yet."""
        return self._fleet.waiting_bytes + len(self._heads)

    @property
    def window_bytes(self) -> int:
        """As the fleet's."""
        return self._fleet.window_bytes

    @property
    def delivery(self) -> Delivery:
        """As the fleet's."""
        return self._fleet.delivery

    def start(self, downstream: Callbacks) -> None:
        """Dial."""
        self._fleet.start(downstream)

    def send(self, data: bytes) -> None:
        """Pass on requests, or pieces of them."""
        if self._in_body:
            self._fleet.send(data)
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
        if head.tunnel or self._router.find(head.target) is not self._dialer:
            self._leave()
            return False
        is_first = self._fleet.activity is Activity.IDLE
        self._downstream.note_request(shown(head.target), self._opening if is_first else None)
        self._heads.take(head.size_bytes)
        body, self._in_body = self._heads.take() if head.body else b"", head.body
        self._fleet.send(head.rendered(last=head.last) + body)
        if head.last:
            self._heads.take()
            if not head.body:
                self._downstream.ignore_input()
        return not head.last

    def _leave(self) -> None:
        """Let the front have what goes elsewhere, or end with what is under way."""
        rest = self._heads.take()
        if self._fleet.activity is Activity.IDLE and self._downstream.is_flushed:
            self._turn_back(rest)
        else:
            self._downstream.ignore_input()
            self._fleet.send_eof()

    def send_eof(self) -> None:
        """End the input."""
        self._fleet.send_eof()

    def pause(self) -> None:
        """Ask for no more."""
        self._fleet.pause()

    def resume(self) -> None:
        """Ask for more."""
        self._fleet.resume()

    def request_timed_out(self) -> None:
        """Go on as if the user had closed its half."""
        self._fleet.request_timed_out()

    def close(self) -> None:
        """Forget the connection."""
        self._fleet.close()
