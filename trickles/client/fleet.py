"""Which replica a request goes to: health by use, policies, and members that come and go."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from trickles.wire.kinds import Address

MOST_REMEMBERED = 64  # of those that left: they may still answer what they were asked
SUSPECT_FOR = 1_000_000  # microseconds a silent or dead replica is left alone while others answer
LEAST_TRIES = 8  # before none can continue: one address may stand for many replicas


class Policy(StrEnum):
    """How requests are spread over the replicas."""

    HOME = "home"  # one replica as long as it answers
    SPRAY = "spray"  # round robin per request: proves statelessness
    STRIPE = "stripe"  # to the replica that will be done first: several serve one download at once
    LOWEST_RTT = "lowest-rtt"  # the lowest round-trip time, measured by use: anycast on the client's side
    FASTEST = LOWEST_RTT  # what it was called before

    @classmethod
    def _missing_(cls, value: object) -> Policy | None:
        return cls.LOWEST_RTT if value == "fastest" else None


class ReplicaSet:
    """The replicas a client knows, in order of preference."""

    def __init__(self, replicas: Sequence[Address], policy: Policy = Policy.HOME, first: int = 0) -> None:
        if not replicas:
            raise ValueError("at least one replica is needed")
        self.replicas = list(dict.fromkeys(replicas))
        self.members = frozenset(self.replicas)
        self.policy = policy
        self.stripes = policy is Policy.STRIPE
        self._home = first % len(self.replicas)
        self._turn = self._home
        self._suspect_until: dict[Address, int] = {}
        self._latency: dict[Address, int] = {}
        self._warned_at: dict[Address, int] = {}  # when a sign of its death by somebody unknown last counted
        self._false_alarms = 0
        self._deaf_until = 0  # no such sign counts before

    @property
    def home(self) -> Address:
        """The replica at work."""
        return self.replicas[self._home]

    @property
    def spreads(self) -> bool:
        """True when neighbouring requests may go to different replicas."""
        return self.policy in (Policy.SPRAY, Policy.STRIPE) and len(self.replicas) > 1

    @property
    def unevenness(self) -> int:
        """By how many microseconds answers of neighbouring requests may overtake each other for distance alone."""
        if not self.spreads or len(self._latency) < 2:
            return 0
        return max(self._latency.values()) - min(self._latency.values())

    def latencies(self) -> dict[Address, int]:
        """Smoothed round trips in microseconds, of the replicas where they could be measured."""
        return dict(self._latency)

    def cling(self) -> None:
        """Stay with one replica for as long as it answers, whatever the policy was."""
        self.policy, self.stripes = Policy.HOME, False

    def prefer(self, replica: Address) -> None:
        """Be at home at that replica, if it is one of these."""
        if replica in self.replicas:
            self._home = self._turn = self.replicas.index(replica)

    def pick(self, now: int) -> Address:
        """Where the next request goes."""
        if self.spreads:
            for _ in self.replicas:
                self._turn = (self._turn + 1) % len(self.replicas)
                if not self.suspect(self.replicas[self._turn], now):
                    break
            return self.replicas[self._turn]
        if self.policy is Policy.LOWEST_RTT and len(self._latency) == len(self.replicas):
            healthy = [r for r in self.replicas if not self.suspect(r, now)] or self.replicas
            return min(healthy, key=lambda replica: self._latency.get(replica, 0))
        if self.policy is Policy.LOWEST_RTT:
            unknown = [r for r in self.replicas if r not in self._latency and not self.suspect(r, now)]
            return unknown[0] if unknown else self.home
        return self.home

    def other(self, avoid: Address, now: int) -> Address:
        """Another replica than `avoid`, a healthy one if there is one; `avoid` itself when it is the only one."""
        if avoid in self.replicas:
            at = self.replicas.index(avoid)
            order = self.replicas[at + 1 :] + self.replicas[:at]
        else:  # it left the list
            at = self._home % len(self.replicas)
            order = self.replicas[at:] + self.replicas[:at]
        for replica in order:
            if not self.suspect(replica, now):
                return replica
        return min(order, key=lambda replica: self._suspect_until.get(replica, 0), default=avoid)

    def suspect(self, replica: Address, now: int) -> bool:
        """True while the replica is left alone."""
        return self._suspect_until.get(replica, 0) > now

    def silent(self, replica: Address, now: int) -> None:
        """That replica did not answer: leave it alone for a while, and leave home if it was home."""
        self._suspect_until[replica] = now + SUSPECT_FOR
        if replica == self.home:
            self._home = self.replicas.index(self.other(replica, now))

    def heeds(self, replica: Address, now: int, interval: int) -> bool:
        """True when a sign of that replica's death counts of which nobody knows who sent it.

        Such signs are ICMP and refusals without a tag. In each `interval` one counts for each replica; once one has
        proved false, one for all of them, and the interval doubles with each that does: somebody forges them. Silence,
        which nobody can forge, tells of a death only a little later.
        """
        if now < max(self._deaf_until, self._warned_at.get(replica, -interval) + interval):
            return False
        self._warned_at[replica] = now
        if self._false_alarms:
            self._deaf_until = now + self._deafness(interval)
        return True

    def false_alarm(self, now: int, interval: int) -> None:
        """A replica that such a sign had declared dead has answered all the same."""
        self._false_alarms += 1
        self._deaf_until = now + self._deafness(interval)

    def _deafness(self, interval: int) -> int:
        return min(interval << min(self._false_alarms, 16), max(SUSPECT_FOR, interval))

    def exhausted(self, refusals: int) -> bool:
        """True when that many refusals in a row mean that no replica can continue."""
        return refusals >= max(2 * len(self.replicas), LEAST_TRIES)

    def pause(self, refusals: int, delay: int) -> int:
        """How long to wait after that many refusals: not at all until every replica was asked, then more each time."""
        rounds = refusals // len(self.replicas)
        return delay << min(rounds - 1, 3) if rounds else 0

    def answered(self, replica: Address, round_trip: int | None) -> None:
        """That replica answered; `round_trip` in microseconds if it could be measured."""
        self._suspect_until.pop(replica, None)
        if round_trip is not None:
            old = self._latency.get(replica, round_trip)
            self._latency[replica] = (7 * old + round_trip) >> 3

    def replace(self, replicas: Sequence[Address], now: int = 0) -> None:
        """A new list of replicas (discovery); home stays if it is still listed, else a healthy one follows."""
        home = self.home
        self.replicas = list(dict.fromkeys(replicas)) or self.replicas
        left = [member for member in self.members if member not in self.replicas]
        self.members = frozenset([*self.replicas, *left[-MOST_REMEMBERED:]])  # answers under way are still welcome
        for known in (self._suspect_until, self._latency, self._warned_at):
            for gone in known.keys() - self.members:
                del known[gone]
        self._home = self.replicas.index(home if home in self.replicas else self.other(home, now))
        self._turn = self._home
