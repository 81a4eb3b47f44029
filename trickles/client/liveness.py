"""Liveness of replicas that are at work: asked four to twenty times a second, for all connections that wait there.

A replica that is killed says nothing, and its successor, at the same address, does not know the work. So while a
request is at work (a notice said so), its replica is asked every DISTANCE whether it is still the same process, by an
AWAIT of one of the waiting connections, each in turn. The answer counts for all of them: 10,000 waiting connections
cost as much as one. Three outcomes show that the work is lost:

- the answer has another incarnation: the requests that the former one was at work on are repeated at once;
- nobody listens there (ICMP): as any such sign, it is followed at a bounded rate, since it can be forged;
- no answer for as long as MOST_UNANSWERED questions at that distance take: the requests move to another replica.

The requests whose work is lost go a few at a time (`moving`).

The last verdict may be wrong: on a busy machine a replica is late, and to move its requests makes the others late, too.
No request is lost by that, as the first answer stands, but all are delayed. So time in which this process itself was
late does not count as silence, a notice ends a silence as an answer does, and each verdict that an answer of the same
incarnation proves wrong doubles the patience with that replica, MOST_DOUBLINGS times.

That a replica lives is a fact about the replica; that a client still waits, and that its request is still at work, are
facts about each request: it is renewed every RENEW_EVERY. The questions do this too. Each names the next of the other
requests, as many as have to be named for all to get their turn in time: one datagram renews up to MOST_OTHERS + 1
connections. With thousands of requests the next question is due as soon as its datagram is full: a death is noticed
the sooner, and no datagram more is sent. A request whose turn fails (a lost datagram, a replica that does not know of
others) is renewed by its own connection a second later (`atwork`).

A `Liveness` belongs to one connection, or to all connections of one process to a fleet (`arm` is called then with the
next due time). Owners of requests are asked and informed by a `Waiter`. Entries go when their request is
closed (`unwatch`) or no longer waits there. It never ends a connection: a wrong verdict only repeats requests. Tried
and failed: a notice from the replica each 250 ms for each request (40,000 datagrams a second for 10,000 event streams);
notices at a growing distance (a death was noticed after 3 s); an AWAIT of each connection every 4 s (10,000 streams
kept a core busy).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from trickles.client.moving import Moves
from trickles.client.requests import InFlight
from trickles.limits import MILLISECOND, SECOND
from trickles.wire.awaiting import MOST_OTHERS
from trickles.wire.kinds import Address

DISTANCE = 250 * MILLISECOND  # between two questions, at most
LEAST_DISTANCE = 50 * MILLISECOND
MOST_UNANSWERED = 3
RENEW_EVERY = 4 * SECOND
MOST_SILENT = 256  # replicas that are remembered as silent: as many as a client uses
MOST_DOUBLINGS = 2  # then a death that only silence shows is noticed after 3 s


class Waiter(NamedTuple):
    """The name of a connection whose requests replicas are at work on, and callbacks of the owner of these."""

    name: bytes
    ask: Callable[[Address, Sequence[NamedRequest]], None]  # send an AWAIT that names others too
    answered: Callable[[InFlight, int, int, bool, int], None]  # newest, incarnation, at work, now
    restarted: Callable[[Address, int, int], None]  # replica, its incarnation, now
    unreachable: Callable[[Address, int], None]  # replica, now
    silent: Callable[[Address, int], None]  # replica, now


class NamedRequest(NamedTuple):
    """A request of another connection, as it is when a question names it."""

    request: InFlight
    newest: int
    owner: Waiter


class WatchedReplica:
    """One replica: its incarnation, since when it has not answered, and the requests, next to be named first."""

    def __init__(self, incarnation: int, now: int) -> None:
        self.due = now + DISTANCE
        self._incarnation = incarnation
        self._mixed = False  # some request has another incarnation
        self._distance = DISTANCE
        self._asked_at = now  # for the last time
        self._unanswered_since: int | None = None  # the first question since it was last heard
        self._requests: dict[InFlight, Waiter] = {}

    @property
    def incarnation(self) -> int:
        return self._incarnation

    def excuse(self, late: int) -> None:
        """Leave out the time by which this process was late: answers may lie unread in its sockets."""
        if self._unanswered_since is not None and late > LEAST_DISTANCE:
            self._unanswered_since += late

    def is_silent(self, now: int, doublings: int) -> bool:
        since = self._unanswered_since
        return since is not None and now - since >= MOST_UNANSWERED * self._distance << doublings

    @property
    def requests(self) -> Mapping[InFlight, Waiter]:
        return self._requests

    def add(self, request: InFlight, owner: Waiter, pause: int, now: int, *, heard: bool) -> None:
        """Add a request, perhaps because its replica was heard.

        When its incarnation is another one, what is known may be old: a question is due at once.
        """
        if request.incarnation != self._incarnation:
            self._mixed, self.due = True, now
        elif heard:
            self._unanswered_since = None
        self._distance = max(DISTANCE, pause)
        self._requests[request] = owner

    def remove(self, request: InFlight) -> None:
        self._requests.pop(request, None)

    def heard(self, incarnation: int) -> bool:
        """Note an answer; return True if some requests may be of another incarnation."""
        changed = self._mixed or incarnation != self._incarnation
        self._unanswered_since, self._mixed, self._incarnation = None, False, incarnation
        return changed

    def ask(self, replica: Address, now: int) -> list[InFlight]:
        """Let the next of the waiting connections ask; return the requests that no longer wait, now removed."""
        gone: list[InFlight] = []
        turn: list[NamedRequest] = []
        count = max(len(self._requests), 1)
        full = RENEW_EVERY * (MOST_OTHERS + 1) // count  # until a datagram's worth of requests has to be renewed
        pause = max(min(full, self._distance), LEAST_DISTANCE)
        most = -(-count * max(now - self._asked_at, pause) // RENEW_EVERY)
        while self._requests and len(turn) < most:
            request = next(iter(self._requests))
            owner = self._requests.pop(request)
            if request.waits_at(replica):
                turn.append(NamedRequest(request, request.newest, owner))
            else:
                gone.append(request)
        self._requests.update((request, owner) for request, _, owner in turn)  # their next turn comes last
        for at in range(0, len(turn), MOST_OTHERS + 1):
            (_, _, asker), *others = turn[at : at + MOST_OTHERS + 1]
            asker.ask(replica, others)
        if turn:
            self._asked_at, self.due = now, now + pause
            self._unanswered_since = now if self._unanswered_since is None else self._unanswered_since
        return gone


class Liveness:
    """The replicas at work; it has no clock and no socket."""

    def __init__(self, arm: Callable[[int], object] = lambda _: None) -> None:
        self._arm = arm
        self._replicas: dict[Address, WatchedReplica] = {}
        self._watched: dict[InFlight, WatchedReplica] = {}
        self._moves = Moves()
        self._silent: dict[Address, int] = {}  # incarnations of replicas that did not answer
        self._doublings: dict[Address, int] = {}  # of the patience with replicas that answered after all

    def watch(self, request: InFlight, owner: Waiter, pause: int, now: int, *, heard: bool = True) -> None:
        """Note that its replica is at work on a request, as it said just now if `heard`; answers take up to `pause`."""
        self._moves.taken(owner.name, now)
        found = self._replicas.get(request.replica)
        if found is None:
            found = self._replicas[request.replica] = WatchedReplica(request.incarnation, now)
        if self._watched.get(request) is not found:
            self.unwatch(request)
            self._watched[request] = found
        found.add(request, owner, pause, now, heard=heard)
        self._arm(found.due)

    def unwatch(self, request: InFlight) -> None:
        """Forget a request that is over, or elsewhere."""
        found = self._watched.pop(request, None)
        if found is not None:
            found.remove(request)
        self._moves.over(request)

    def answered(self, request: InFlight, now: int) -> None:
        """Note an answer to a request that waited for news of a subject: others get them, too."""
        self._moves.news(request.subject, now)

    def heard(self, replica: Address, incarnation: int, now: int) -> None:
        """Note a fresh answer of a replica."""
        found, silent = self._replicas.get(replica), self._silent.pop(replica, None)
        if silent is not None:
            doublings = self._doublings.pop(replica, 0)
            if silent == incarnation:
                self._doublings[replica] = min(doublings + 1, MOST_DOUBLINGS)
                if len(self._doublings) > MOST_SILENT:
                    del self._doublings[next(iter(self._doublings))]
        if found is not None and found.heard(incarnation):
            lost = {each: owner for each, owner in found.requests.items() if each.incarnation != incarnation}
            self._lost(replica, lost, lambda owner, now: owner.restarted(replica, incarnation, now), now)

    def unreachable(self, replica: Address, now: int) -> None:
        """Note that nobody listens there, as an unauthenticated sign says."""
        found = self._replicas.get(replica)
        if found is not None:
            self._lost(replica, found.requests, lambda owner, now: owner.unreachable(replica, now), now)

    def next_timeout(self) -> int | None:
        """Return when `on_time` has something to do."""
        due = min((found.due for found in self._replicas.values()), default=None)
        moves = self._moves.due
        return due if moves is None or (due is not None and due < moves) else moves

    def on_time(self, now: int) -> None:
        """Ask the replicas that are due; those that did not answer are silent."""
        for replica, found in [each for each in self._replicas.items() if each[1].due <= now]:
            found.excuse(now - found.due)
            if found.is_silent(now, self._doublings.get(replica, 0)):
                del self._replicas[replica]
                self._silent[replica] = found.incarnation
                if len(self._silent) > MOST_SILENT:
                    del self._silent[next(iter(self._silent))]
                self._lost(replica, found.requests, _on_silence(replica), now)
                continue
            for gone in found.ask(replica, now):
                del self._watched[gone]
            if not found.requests:
                del self._replicas[replica]
        if self._moves.due is not None and self._moves.due <= now:
            self._moves.go_on(now)
        due = self.next_timeout()
        if due is not None:
            self._arm(due)

    def _lost(
        self, replica: Address, lost: Mapping[InFlight, Waiter], act: Callable[[Waiter, int], None], now: int
    ) -> None:
        """Let the owners repeat those requests by `act`, when their turn comes."""
        for request, owner in list(lost.items()):
            self.unwatch(request)
            self._moves.add(request, owner.name, partial(self._repeat, replica, request, owner, act), now)
        self._moves.go_on(now)
        if self._moves.due is not None:
            self._arm(self._moves.due)

    def _repeat(
        self, replica: Address, request: InFlight, owner: Waiter, act: Callable[[Waiter, int], None], now: int
    ) -> None:
        if request.waits_at(replica):
            act(owner, now)
        if request.waits_at(replica):  # the sign of its death did not count
            self.watch(request, owner, 0, now, heard=False)


def _on_silence(replica: Address) -> Callable[[Waiter, int], None]:
    return lambda owner, now: owner.silent(replica, now)
