"""Policy stripe: one download from several replicas at once, each request to the one that will be done first."""

from __future__ import annotations

from trickles.client.fleet import ReplicaSet
from trickles.client.requests import InFlight, Requests
from trickles.wire.kinds import Address

SHIFT = 8  # of microseconds for a packet, which is a small number


class Striping:
    """Weighs what is outstanding at each replica against how fast that has drained there so far.

    By Little's law a replica with n packets outstanding that takes t to answer moves n/t of them in a unit of time, so
    it takes t/n for each of what is outstanding now. What exceeds the least t ever seen by that waits in a queue. A
    request goes where it has to wait least: then the queues of all paths fill alike. The window is one for all, and a
    request cannot speak for numbers past one that is missing, so replicas much farther away than others are no help.

    A path keeps its own order: something is lost when its replica has answered what it was asked later.
    """

    def __init__(self, fleet: ReplicaSet) -> None:
        self._fleet = fleet
        self._per_packet: dict[Address, int] = {}  # t/n, shifted by SHIFT
        self._least: dict[Address, int] = {}  # of round trips, microseconds; the latest is beside it
        self._latest: dict[Address, int] = {}
        self._heard_at: dict[Address, int] = {}

    def pick(self, requests: Requests, packets: int, now: int) -> Address:
        """Where a request for so many packets goes."""
        fleet = self._fleet
        outstanding = dict.fromkeys(fleet.replicas, packets)
        for request in requests:
            if request.replica in outstanding:
                outstanding[request.replica] += request.open_packets
        healthy = [each for each in fleet.replicas if not fleet.suspect(each, now)] or fleet.replicas
        return min(healthy, key=lambda each: (self._waiting(each, outstanding[each]), outstanding[each]))

    def _waiting(self, replica: Address, packets: int) -> int:
        expected = self._per_packet.get(replica, 0) * packets >> SHIFT
        return max(expected - self._least.get(replica, 0), 0)

    def answered(self, request: InFlight, replica: Address, round_trip: int) -> None:
        """The first packet that answers `request` came from that replica, after so long."""
        if not request.ahead or request.replica != replica:
            return
        least = self._least[replica] = min(round_trip, self._least.get(replica, round_trip))
        self._latest[replica] = round_trip
        sample = (round_trip << SHIFT) // request.ahead
        old = self._per_packet.get(replica, sample)
        grown = (3 * old + sample) >> 2
        if 8 * round_trip <= 9 * least:  # nothing waited, so it may be faster than anybody has found out
            grown = min(grown, 31 * old >> 5)
        self._per_packet[replica] = grown

    def heard(self, requests: Requests, newest: InFlight, replica: Address, now: int) -> None:
        """Something that answers `newest` came from that replica: what it was asked before has been overtaken."""
        self._heard_at[replica] = now
        for each in requests:
            earlier = each.replica == replica and each.sent_last <= newest.sent_last
            if earlier and each.overtaken_at < each.sent_last and (each is not newest or each.gaping):
                each.on_overtaken(now)

    def overdue_at(self, request: InFlight, window: int) -> int:
        """When missing numbers of that request count as lost: soon once it was overtaken, else after silence."""
        if request.overtaken_at >= request.sent_last:
            return request.overtaken_at + window
        since = max(request.sent_last, self._heard_at.get(request.replica, 0))
        return since + 2 * self._latest.get(request.replica, window) + window
