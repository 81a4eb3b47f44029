"""Heartbeats: bytes that a client inserts into its output while a replica holds a request that waits for more of it.

A stream that waits has to show signs of life, or the user's side, a proxy perhaps, ends it. Made by a server, each sign
would be a response: two datagrams, proofs, continuations. So the notice that a request is parked names the bytes and
their distance, and the client inserts them by its own clock. They have no offset: neither snapshots nor other replicas
know of them.

They are inserted only at the offset that the parked request asks for, when all output below has been taken out, and
only while a replica is known to hold the request (`InFlight.incarnation`, which `liveness` keeps true). A request that
moves to another replica keeps its clock. One heartbeat at most is due: a user that does not read gets no more.
"""

from __future__ import annotations

from trickles.client.output import Output
from trickles.client.requests import InFlight
from trickles.limits import MILLISECOND
from trickles.service import Heartbeat

LEAST_DISTANCE = 10 * MILLISECOND  # whatever a fleet says


class Heartbeats:
    """Owner of the next heartbeat's time; without a clock."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._heartbeat: Heartbeat | None = None
        self._request: InFlight | None = None
        self._offset = -1  # of the output that it asks for
        self._due_at = 0
        self._due = False  # one is to be inserted

    def on_notice(self, request: InFlight, heartbeat: Heartbeat | None, now: int) -> int | None:
        """Note that a replica holds that request; return when the next heartbeat is due."""
        if heartbeat is None or not request.wants:
            return None
        request.on_subject(heartbeat.subject)
        offset = request.wants[0][0]
        if offset != self._offset:
            self._offset, self._due_at, self._due = offset, now + self._distance(heartbeat), False
        self._request, self._heartbeat = request, heartbeat
        return self._due_at

    def next_timeout(self) -> int | None:
        """Return when `on_timeout` has something to do."""
        request = self._request
        return self._due_at if request is not None and request.incarnation and not self._due else None

    def on_timeout(self, now: int) -> None:
        """Let `take` return a heartbeat if one is due."""
        due_at = self.next_timeout()
        if due_at is not None and due_at <= now and self._heartbeat is not None:
            self._due_at, self._due = now + self._distance(self._heartbeat), True

    def take(self) -> bytes | None:
        """Return the heartbeat to insert into the output now."""
        request, due, self._due = self._request, self._due, False
        stands = due and request is not None and request.incarnation and self._heartbeat is not None
        if not stands or self._output.arrived.next_offset != self._offset:
            return None
        assert self._heartbeat is not None
        return self._heartbeat.data

    @staticmethod
    def _distance(heartbeat: Heartbeat) -> int:
        return max(heartbeat.every_us, LEAST_DISTANCE)
