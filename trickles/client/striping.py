"""Policy stripe: one download from several replicas, each request to the one expected to finish first."""

from __future__ import annotations

from trickles.client.fleet import ReplicaSet
from trickles.client.requests import InFlight, Requests
from trickles.wire.kinds import Address

SHIFT = 8  # of microseconds for a packet, which is a small number


class Striping:
    """Compares the packets outstanding at each replica with its throughput so far.

    By Little's law a replica with n packets outstanding and a round trip t serves n/t packets in a unit of time, so
    each outstanding packet takes t/n. Time above the least round trip is spent in a queue. A request goes where the
    queue is shortest, so the queues of all paths fill alike. All paths share one window, and a request cannot
    acknowledge numbers above a missing one, so much more distant replicas do not help.

    A path keeps its own order: packets are lost when their replica has answered a later request.
    """

    def __init__(self, fleet: ReplicaSet) -> None:
        self._fleet = fleet
        self._per_packet: dict[Address, int] = {}  # t/n, shifted by SHIFT
        self._least: dict[Address, int] = {}  # of round trips, microseconds; the latest is below
        self._latest: dict[Address, int] = {}
        self._heard_at: dict[Address, int] = {}

    def pick(self, requests: Requests, packets: int, now: int) -> Address:
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
        """Note that the first packet that answers `request` came from that replica, after that round trip."""
        if not request.ahead or request.replica != replica:
            return
        least = self._least[replica] = min(round_trip, self._least.get(replica, round_trip))
        self._latest[replica] = round_trip
        sample = (round_trip << SHIFT) // request.ahead
        old = self._per_packet.get(replica, sample)
        grown = (3 * old + sample) >> 2
        if 8 * round_trip <= 9 * least:  # no queue, so it may be faster than measured
            grown = min(grown, 31 * old >> 5)
        self._per_packet[replica] = grown

    def heard(self, requests: Requests, newest: InFlight, replica: Address, now: int) -> None:
        """Note an answer to `newest` from that replica: earlier requests to it have been overtaken."""
        self._heard_at[replica] = now
        for each in requests:
            earlier = each.replica == replica and each.sent_last <= newest.sent_last
            if earlier and each.overtaken_at < each.sent_last and (each is not newest or each.gaping):
                each.on_overtaken(now)

    def overdue_at(self, request: InFlight, window: int) -> int:
        """Return when missing numbers of that request count as lost: soon once overtaken, else after silence."""
        if request.overtaken_at >= request.sent_last:
            return request.overtaken_at + window
        since = max(request.sent_last, self._heard_at.get(request.replica, 0))
        return since + 2 * self._latest.get(request.replica, window) + window
