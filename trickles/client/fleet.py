"""Choice of a replica: policies, health by use, and members that come and go."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from trickles.client.flows import Flows
from trickles.wire.kinds import Address

MOST_REMEMBERED = 64  # of those that left: they may still answer earlier requests
SUSPECT_FOR = 1_000_000  # microseconds a silent replica is avoided while others answer
LEAST_TRIES = 8  # before giving up: one address may stand for many replicas


class Policy(StrEnum):
    """Policies that spread requests over the replicas."""

    HOME = "home"  # one replica as long as it answers
    SPRAY = "spray"  # round robin per request: proves statelessness
    STRIPE = "stripe"  # to the replica expected to finish first: several serve one download
    LOWEST_RTT = "lowest-rtt"  # the replica with the lowest measured round-trip time: anycast by the client
    FASTEST = LOWEST_RTT  # its former name

    @classmethod
    def _missing_(cls, value: object) -> Policy | None:
        return cls.LOWEST_RTT if value == "fastest" else None


class ReplicaSet:
    """The replicas that a client knows, in order of preference.

    `first` is the index of the first home. A multiple of the number of replicas more leads to another order of the
    others: so the connections of one process spread over all others when their home is dead.
    """

    def __init__(self, replicas: Sequence[Address], policy: Policy = Policy.HOME, first: int = 0) -> None:
        if not replicas:
            raise ValueError("at least one replica is needed")
        self.replicas = list(dict.fromkeys(replicas))
        self.members = frozenset(self.replicas)
        self.policy = policy
        self.stripes = policy is Policy.STRIPE
        self._home = first % len(self.replicas)
        self._turn = self._home
        self._detour = first // len(self.replicas)
        self._suspect_until: dict[Address, int] = {}
        self._latency: dict[Address, int] = {}
        self._warned_at: dict[Address, int] = {}  # when an unauthenticated sign of its death last counted
        self._false_alarms = 0
        self._deaf_until = 0  # no such sign counts before that time
        self.flows = Flows()

    @property
    def home(self) -> Address:
        return self.replicas[self._home]

    @property
    def spreads(self) -> bool:
        """True when neighbouring requests may go to different replicas."""
        return self.policy in (Policy.SPRAY, Policy.STRIPE) and len(self.replicas) > 1

    @property
    def unevenness(self) -> int:
        """Difference of round trips in microseconds, by which neighbouring answers may overtake each other."""
        if not self.spreads or len(self._latency) < 2:
            return 0
        return max(self._latency.values()) - min(self._latency.values())

    def latencies(self) -> dict[Address, int]:
        """Return smoothed round trips in microseconds, of the replicas where they could be measured."""
        return dict(self._latency)

    def cling(self) -> None:
        """Use one replica for as long as it answers, whatever the policy was."""
        self.policy, self.stripes = Policy.HOME, False

    def prefer(self, replica: Address) -> None:
        """Make that replica home, if it is a member."""
        if replica in self.replicas:
            self._home = self._turn = self.replicas.index(replica)

    def pick(self, now: int) -> Address:
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
        """Return another replica than `avoid`, a healthy one if possible; `avoid` when there is no other."""
        if avoid in self.replicas:
            at = self.replicas.index(avoid)
            order = self.replicas[at + 1 :] + self.replicas[:at]
        else:  # it left the list
            at = self._home % len(self.replicas)
            order = self.replicas[at:] + self.replicas[:at]
        turn = self._detour % max(len(order), 1)
        order = order[turn:] + order[:turn]
        for replica in order:
            if not self.suspect(replica, now):
                return replica
        return min(order, key=lambda replica: self._suspect_until.get(replica, 0), default=avoid)

    def suspect(self, replica: Address, now: int) -> bool:
        return self._suspect_until.get(replica, 0) > now

    def silent(self, replica: Address, now: int) -> None:
        """Avoid a replica that did not answer for a while, and leave it if it was home."""
        self._suspect_until[replica] = now + SUSPECT_FOR
        if replica == self.home:
            self._home = self.replicas.index(self.other(replica, now))

    def heeds(self, replica: Address, now: int, interval: int) -> bool:
        """Return True when an unauthenticated sign of that replica's death counts: ICMP, or a refusal without a tag.

        In each `interval` one counts for each replica. Once one has proved false, one counts for all of them, and the
        interval doubles with each forgery. Silence, which cannot be forged, shows a death only a little later.
        """
        if now < max(self._deaf_until, self._warned_at.get(replica, -interval) + interval):
            return False
        self._warned_at[replica] = now
        if self._false_alarms:
            self._deaf_until = now + self._deafness(interval)
        return True

    def false_alarm(self, now: int, interval: int) -> None:
        """Note that a replica answered which such a sign had declared dead."""
        self._false_alarms += 1
        self._deaf_until = now + self._deafness(interval)

    def _deafness(self, interval: int) -> int:
        return min(interval << min(self._false_alarms, 16), max(SUSPECT_FOR, interval))

    def exhausted(self, refusals: int) -> bool:
        """Return True when that many refusals in a row mean that no replica can continue."""
        return refusals >= max(2 * len(self.replicas), LEAST_TRIES)

    def pause(self, refusals: int, delay: int) -> int:
        """Return how long to wait after that many refusals: 0 until every replica was asked, then more each time."""
        rounds = refusals // len(self.replicas)
        return delay << min(rounds - 1, 3) if rounds else 0

    def answered(self, replica: Address, round_trip: int | None) -> None:
        """Note that a replica answered; `round_trip` in microseconds if it could be measured."""
        self._suspect_until.pop(replica, None)
        if round_trip is not None:
            old = self._latency.get(replica, round_trip)
            self._latency[replica] = (7 * old + round_trip) >> 3

    def replace(self, replicas: Sequence[Address], now: int = 0) -> None:
        """Replace the replicas (discovery); home stays if it is still a member, else it becomes a healthy one."""
        home = self.home
        self.replicas = list(dict.fromkeys(replicas)) or self.replicas
        left = [member for member in self.members if member not in self.replicas]
        self.members = frozenset([*self.replicas, *left[-MOST_REMEMBERED:]])  # answers under way are still accepted
        for known in (self._suspect_until, self._latency, self._warned_at):
            for gone in known.keys() - self.members:
                del known[gone]
        self._home = self.replicas.index(home if home in self.replicas else self.other(home, now))
        self._turn = self._home
