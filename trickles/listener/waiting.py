"""Requests that a service is working on: when their clients get notices, and whose clients have left.

A client renews its waiting requests, all those of a connection at once, by any further request or an AWAIT, which may
name those of other connections from the same host. One that does not for RENEWED_FOR, two of its renewals and some
seconds, has left without a goodbye, or with one that was lost.

Its numbers order all that a connection sends. A question or goodbye that is older than a waiting request or the last
question about it is late or a copy, and has no effect, and questions of connections without waiting requests renew
nothing. So an attacker with captured ones can neither keep work going nor end it, even with those that a replay filter
has forgotten, or has never seen.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count

from trickles.limits import SECOND
from trickles.listener.responder import Grant
from trickles.service import Deferred
from trickles.wire.awaiting import LOOKED, Question, connection_name

RENEWED_FOR = 12 * SECOND  # clients renew every 4 s
_SLACK = 64  # stale entries, beyond as many as wait, before the heap is rebuilt


class Waiting:
    """Grants by their deferred replies, and by connection and request number.

    Due times lie in a heap; none at its top is stale. Connections lie in the order of their renewal.
    """

    def __init__(self) -> None:
        self._grants: dict[Deferred, tuple[Grant, int]] = {}
        self._due: list[tuple[int, int, Deferred]] = []
        self._serial = count()
        self._numbers: dict[bytes, dict[int, Deferred]] = {}
        self._renewed: dict[bytes, tuple[int, int]] = {}  # when, and the number of the newest question
        self._named: dict[bytes, bytes] = {}  # identities by connection name; of two with one name the newest

    def __len__(self) -> int:
        return len(self._grants)

    def __contains__(self, deferred: Deferred) -> bool:
        return deferred in self._grants

    def clear(self) -> None:
        for each in (self._grants, self._due, self._numbers, self._renewed, self._named):
            each.clear()

    def add(self, deferred: Deferred, grant: Grant, due: int | None) -> None:
        """Add a waiting request, whose client gets a notice at `due`, or none from now on."""
        identity = grant.path.session.identity
        self._numbers.setdefault(identity, {})[grant.request] = deferred
        self._named[connection_name(identity)] = identity
        self._renew(identity, grant.now)
        if due is None:
            self._grants[deferred] = grant, next(self._serial)
        else:
            self.remind(deferred, grant, due)

    def remind(self, deferred: Deferred, grant: Grant, due: int) -> None:
        """Set the next due time of a waiting request."""
        if len(self._due) > 2 * len(self._grants) + _SLACK:
            self._due = [entry for entry in self._due if self._stands(entry)]
            heapify(self._due)
        serial = next(self._serial)
        self._grants[deferred] = grant, serial
        heappush(self._due, (due, serial, deferred))
        self._trim()

    def remove(self, deferred: Deferred) -> Grant | None:
        """Remove a request; return its grant, None when it did not wait."""
        known = self._grants.pop(deferred, None)
        if known is None:
            return None
        self._trim()
        grant, _ = known
        identity = grant.path.session.identity
        numbers = self._numbers.get(identity, {})
        if numbers.get(grant.request) is deferred:
            del numbers[grant.request]
            if not numbers:
                self._forget(identity)
        return grant

    def asked(self, identity: bytes, asker: int, question: Question, host: str, now: int) -> int:
        """Take a question with the number `asker`, newer than `newest`; return the mask of its requests that wait.

        Renew the requests of its connection, and those it names unless its own have been answered meanwhile.
        """
        waiting, mask, bit = self._numbers.get(identity, {}), 0, 1
        if waiting:
            self._renew(identity, now, asker)
        for number in question.numbers:
            if number in waiting:
                mask |= bit
            bit <<= 1
        for name, number in question.others:
            if (other := self._other(name, number, host)) is not None:
                mask |= bit
                if waiting:
                    self._renew(other, now)
            bit <<= 1
        return mask | LOOKED if question.others else mask

    def _other(self, name: bytes, number: int, host: str) -> bytes | None:
        """Return the identity of the connection of that name, if that request of it waits for the host."""
        identity = self._named.get(name)
        deferred = self._numbers[identity].get(number) if identity is not None else None
        waits = deferred is not None and self._grants[deferred][0].destination[0] == host
        return identity if waits else None

    def renew(self, identity: bytes, now: int) -> None:
        """Renew the requests of a connection."""
        if identity in self._numbers:
            self._renew(identity, now)

    def newest(self, identity: bytes) -> int:
        """Return the highest number of the waiting requests of a connection and of questions about them, or -1."""
        _, asked = self._renewed.get(identity, (0, -1))
        return max(asked, *self._numbers.get(identity, (-1,)))

    def of(self, identity: bytes) -> list[Deferred]:
        """Return the waiting requests of a connection, which is not renewed any more."""
        found = list(self._numbers.get(identity, {}).values())
        self._forget(identity)
        return found

    def unrenewed(self, now: int) -> bytes | None:
        """Return a connection whose client did not renew its requests, if there is one."""
        identity = next(iter(self._renewed), None)
        return identity if identity is not None and self._renewed[identity][0] + RENEWED_FOR <= now else None

    @property
    def next_notice(self) -> int | None:
        return self._due[0][0] if self._due else None

    @property
    def next_due(self) -> int | None:
        """The next time at which a notice is due, or a client has not renewed its requests."""
        notice, renewed = self.next_notice, next(iter(self._renewed.values()), None)
        if renewed is None:
            return notice
        leaves = renewed[0] + RENEWED_FOR
        return leaves if notice is None else min(notice, leaves)

    def pop_due(self, now: int) -> list[tuple[Deferred, Grant]]:
        """Return the requests whose notices are due; they wait on, without a due time until `remind`."""
        ready = []
        while self._due and self._due[0][0] <= now:
            entry = heappop(self._due)
            if self._stands(entry):
                ready.append((entry[2], self._grants[entry[2]][0]))
        self._trim()
        return ready

    def set_back(self, step: int) -> None:
        """Adjust to a clock that was set back by `step`: the waits are unchanged."""
        self._due = [(due - step, serial, deferred) for due, serial, deferred in self._due]
        self._renewed = {identity: (at - step, asked) for identity, (at, asked) in self._renewed.items()}
        for grant, _ in self._grants.values():
            grant.now -= step

    def _renew(self, identity: bytes, now: int, question: int = -1) -> None:
        _, asked = self._renewed.pop(identity, (0, -1))
        self._renewed[identity] = now, max(asked, question)

    def _forget(self, identity: bytes) -> None:
        self._numbers.pop(identity, None)
        self._renewed.pop(identity, None)
        name = connection_name(identity)
        if self._named.get(name) == identity:
            del self._named[name]

    def _trim(self) -> None:
        while self._due and not self._stands(self._due[0]):
            heappop(self._due)

    def _stands(self, entry: tuple[int, int, Deferred]) -> bool:
        known = self._grants.get(entry[2])
        return known is not None and known[1] == entry[1]
