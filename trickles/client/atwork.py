"""Requests of one connection that replicas are at work on: what was asked about them, and when they are renewed.

A replica drops the requests of a connection that does not renew them for 12 s; any further request to it, and any
AWAIT, renews all that wait there. Where connections share their `liveness`, its questions renew them by name, and a
connection asks by itself only when that failed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from trickles.client.fleet import ReplicaSet
from trickles.client.liveness import RENEW_EVERY, Liveness, NamedRequest, Waiter
from trickles.client.recovery import NEVER, Recovery
from trickles.client.requests import InFlight, Requests
from trickles.limits import SECOND, Limits
from trickles.trace import Counters
from trickles.wire.awaiting import LOOKED, MOST_OTHERS, Awaited
from trickles.wire.kinds import Address

RENEW_ALONE = RENEW_EVERY + SECOND  # after so long without one by name
PATIENCE = 9 * SECOND  # two renewals may be lost
MOST_ASKED = 8  # questions without an answer; of older ones none counts


class AtWork:
    """Asks replicas, on behalf of `liveness` and to renew; `alone`: nobody else calls this liveness."""

    def __init__(
        self,
        limits: Limits,
        counters: Counters,
        fleet: ReplicaSet,
        requests: Requests,
        recovery: Recovery,
        liveness: Liveness,
        alone: bool,
        name: bytes,
    ) -> None:
        self._limits = limits
        self._counters = counters
        self._fleet = fleet
        self._requests = requests
        self._recovery = recovery
        self._liveness = liveness
        self._alone = alone
        self._renew_after = RENEW_EVERY if alone else RENEW_ALONE
        self._name = name
        self._wake: Callable[[], object] = _nothing
        self._due: dict[Address, list[NamedRequest]] = {}  # with the requests of others to name
        self._renew_at: dict[Address, int] = {}
        self._asked: dict[int, tuple[Address, list[NamedRequest]]] = {}  # by the AWAIT's number, oldest first

    @property
    def active(self) -> bool:
        """True while some replica may be at work."""
        return bool(self._renew_at)

    def on_wake(self, callback: Callable[[], object]) -> None:
        """Call `callback` when something is due of which the driver cannot know."""
        self._wake = callback

    def leave(self) -> None:
        """Forget all: the connection is over."""
        self._wake = _nothing
        self._renew_at.clear()
        for request in self._requests:
            self._liveness.unwatch(request)

    def on_notice(self, request: InFlight, incarnation: int, now: int) -> bool:
        """Note that its replica is at work on that request; it counts as renewed.

        Return whether something of this connection may be due earlier than before.
        """
        self._renewed(request, incarnation, now)
        pause = self._recovery.round_trip.probe_timeout(self._limits)  # long while no round trip was measured
        self._liveness.watch(request, self._waiter, min(pause, 2 * (now - request.sent_last)), now)
        return self._alone

    @property
    def _waiter(self) -> Waiter:
        return Waiter(self._name, self.ask, self.on_answer, self.restarted, self.unreachable, self.silent)

    def _renewed(self, request: InFlight, incarnation: int, now: int) -> None:
        request.on_at_work(incarnation, now + PATIENCE)
        self._renew_at[request.replica] = now + self._renew_after

    # questions

    def next_timeout(self) -> int:
        if not self._requests:  # nothing is at work any more
            self._renew_at.clear()
            return NEVER
        due = min(self._renew_at.values(), default=NEVER)
        asks = self._liveness.next_timeout() if self._alone else None
        return due if asks is None else min(due, asks)

    def due(self, now: int) -> dict[Address, list[NamedRequest]]:
        """Return the replicas to ask now, and the requests of others to ask about."""
        if self._alone:
            self._liveness.on_time(now)
        due, self._due = self._due, {}
        for replica, at in list(self._renew_at.items()):
            if at <= now and not self.at(replica):
                del self._renew_at[replica]
            elif at <= now:
                due.setdefault(replica, [])
            if replica in due:
                self._renew_at[replica] = now + self._renew_after
        return due

    def at(self, replica: Address) -> list[InFlight]:
        """Return the requests that this replica is at work on, oldest first."""
        return [each for each in self._requests if each.waits_at(replica)]

    def asked(
        self, number: int, replica: Address, requests: Sequence[InFlight], others: Sequence[NamedRequest]
    ) -> None:
        """Note that the AWAIT of that number asks about these requests."""
        self._counters.hit("awaits")
        waiter = self._waiter
        self._asked[number] = replica, [*(NamedRequest(each, each.newest, waiter) for each in requests), *others]
        if len(self._asked) > MOST_ASKED:
            del self._asked[next(iter(self._asked))]

    def on_awaited(self, awaited: Awaited, source: Address, now: int) -> bool:
        """Take an answer; return False for a copy. What is no longer at work there is repeated."""
        number, incarnation, mask = awaited
        replica, asked = self._asked.get(number, (None, []))
        if replica != source:
            return False
        del self._asked[number]
        for index, (request, newest, owner) in enumerate(asked):
            if owner.name == self._name or mask & LOOKED:
                owner.answered(request, newest, incarnation, mask >> index & 1 != 0, now)
        self._fleet.answered(source, None)
        self._liveness.heard(source, incarnation, now)
        return True

    def on_answer(self, request: InFlight, newest: int, incarnation: int, at_work: bool, now: int) -> None:
        """Take an answer about a request, as it was when it was named."""
        if request.newest != newest or not request.incarnation:
            return  # it was sent again since
        if at_work:
            self._renewed(request, incarnation, now)
            self._recovery.on_awaited(now)
        elif request.incarnation == incarnation:
            self._recovery.work_lost(request, request.replica, now)
            self._wake()

    def on_unreachable(self, replica: Address, now: int) -> None:
        """Take an ICMP error of this connection; it concerns all that wait there."""
        self._recovery.on_unreachable(replica, now)
        self._liveness.unreachable(replica, now)

    # the liveness of a replica

    def ask(self, replica: Address, others: Sequence[NamedRequest]) -> None:
        """Ask that replica with the next datagrams."""
        named = self._due.setdefault(replica, [])
        named += others[: MOST_OTHERS - len(named)]
        self._wake()

    def restarted(self, replica: Address, incarnation: int, now: int) -> None:
        """Repeat the requests that an earlier process at this address was at work on.

        Elsewhere, if there are others: a new process has first to read what they know. It gets later requests.
        """
        for request in self.at(replica):
            if request.incarnation != incarnation:
                self._recovery.work_lost(request, self._fleet.other(replica, now), now)
        self._wake()

    def unreachable(self, replica: Address, now: int) -> None:
        self._recovery.on_unreachable(replica, now)
        self._wake()

    def silent(self, replica: Address, now: int) -> None:
        self._recovery.abandon_work(replica, now)
        self._wake()


def _nothing() -> None:
    pass
