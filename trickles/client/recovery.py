"""Recovery: round trips, probes, timeouts, failover, giving up (RFC 6298, RFC 8985, RFC 9002).

Only the client has timers. Three of them run, each from the last proof of progress:

- `progress_at`, when something authentic and new last arrived. Copies are no progress, or an attacker who repeats old
  packets could keep a dead connection waiting.
- the probe timeout (SRTT + 4 RTTVAR) after which the oldest request is repeated at *another* replica. The answer from
  there proves the silent one dead, and all its other requests are repeated at once (`abandon`): a failover costs a
  probe timeout, not a retransmission timeout.
- the retransmission timeout: all requests are given up, and only a restart goes on, with a window of one or two.

A repeat puts off the next probe but never the timeout, which counts from when the oldest request was first sent. A
replica that says it is at work (`InFlight.patience`) is not silent; `liveness` asks whether it still is. Pieces of an
upload have a window of their own and the same clocks. Silence from every replica for `give_up_after` ends the
connection.

Forgeable signs of death (ICMP, refusals without a tag) are followed, since they save a probe timeout, but at a bounded
rate (`ReplicaSet.heeds`). The requests moved by them are remembered in `doubted`: an answer from the replica called
dead shows a forgery, and such signs count for less from then on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from trickles.client.fleet import ReplicaSet
from trickles.client.flight import Flight
from trickles.client.input import InputQueue
from trickles.client.liveness import Liveness
from trickles.client.output import Output
from trickles.client.pathmtu import PathMtu
from trickles.client.requests import InFlight, Requests
from trickles.client.rtt import NO_SAMPLE, RoundTrip
from trickles.client.striping import Striping
from trickles.client.upload import Uploader
from trickles.errors import ConnectionFailed
from trickles.limits import MILLISECOND, Limits
from trickles.trace import Counters
from trickles.wire.kinds import Address

NEVER = 1 << 62
MOVED_PATIENCE = 250 * MILLISECOND  # with the replica that work moves to
MOST_DOUBTED = 256  # requests whose replica an unauthenticated sign called dead


@dataclass(slots=True, eq=False)
class Recovery:
    """Owner of the round trip, the timers, and the statistics of failovers."""

    _limits: Limits
    _counters: Counters
    _fleet: ReplicaSet
    _requests: Requests
    _flight: Flight
    _path: PathMtu
    _output: Output
    _input: InputQueue
    _upload: Uploader
    _striping: Striping
    _liveness: Liveness
    round_trip: RoundTrip = NO_SAMPLE
    progress_at: int = 0  # when something authentic last arrived
    failovers: int = 0
    stall_us: int = 0  # the longest silence
    served: dict[Address, int] = field(default_factory=dict)  # packets with new content
    doubted: dict[int, Address] = field(default_factory=dict)  # by request: replicas called dead
    _awaited_at: int = 0  # when a replica last answered that it is at work
    _asked_at: int = 0  # time of the first request after the last progress
    _probes: int = 0  # since then
    _tried_at: int = 0  # when a probe, or a datagram by another flow, was last sent

    # sending and arrivals

    def on_sent(self, now: int) -> None:
        """Note that something leaves that needs an answer: silence counts from the first time."""
        if self._asked_at <= self.progress_at:
            self._asked_at = now

    def on_authentic(self, now: int) -> None:
        self.progress_at = now

    def on_awaited(self, now: int) -> None:
        """Note that a replica is at work: this is no silence, but no progress of other requests either."""
        self._awaited_at = now

    def on_progress(self, source: Address, packets: int, now: int) -> None:
        """Note new content from that replica."""
        if (oldest := self._requests.oldest) is not None:
            self.stall_us = max(self.stall_us, now - max(self.progress_at, self._awaited_at, oldest.sent_at))
        self.progress_at = now
        self._probes = 0
        self.served[source] = self.served.get(source, 0) + packets

    def on_sample(self, sample: int) -> None:
        self.round_trip = self.round_trip.sampled(sample)

    def on_answered(self, request: InFlight, number: int, source: Address, now: int) -> None:
        """Note the first packet that answers a request, or the first from the replica that it was moved to."""
        newest = request.newest & 0xFFFF == number
        sample = now - request.sent_last if newest and not request.patience else None
        silent = request.on_answered(newest=newest)
        if request.subject:
            self._liveness.answered(request, now)
        if sample is not None:
            self.on_sample(sample)
            if self._fleet.stripes:
                self._striping.answered(request, source, sample)
        self._fleet.answered(source, sample)
        if self._fleet.flows.in_doubt:
            self.on_flow_answered(request.flow_of(number), now, request)
        if silent is not None:
            self.abandon(silent, now)

    def on_flow_answered(self, flow: int | None, now: int, answered: InFlight | None = None) -> None:
        """Settle the flow, if others were tried, and repeat at once what went out by those."""
        if flow is None or not self._fleet.flows.in_doubt:
            return
        self._fleet.flows.settle(flow)
        self._upload.leave_flows(flow)
        stray = [each for each in self._requests if each.flow != flow and each is not answered and each.patience <= now]
        for request in stray:
            self._repeat(request, request.replica, now)
        self.failovers += bool(stray)

    def not_dead(self, number: int, source: Address, now: int) -> None:
        """Note an authentic answer to that request: if its replica was called dead, that was a forgery."""
        if self.doubted.get(number & 0xFFFF) == source:
            del self.doubted[number & 0xFFFF]
            self._fleet.false_alarm(now, self.round_trip.probe_timeout(self._limits))

    def close(self, request: InFlight) -> None:
        """Close a request: nothing more comes of it, and data that it did not bring is asked for again."""
        self._flight.on_over(request)
        if request.carries_input:
            self._input.on_over(request)
        self._output.on_over(request)
        if request.watched:
            self._liveness.unwatch(request)
        self._requests.remove(request)

    def close_repeated(self, request: InFlight) -> None:
        """Close a request that was answered before: its missing packets are lost, and their data is asked for again.

        If nothing above has arrived no proof can show the loss; then only a restart goes on, and it is not clean.
        """
        if not request.done:
            request.on_lost()
            self._flight.on_tail_lost()
            self._counters.hit("lost", request.open_packets)
        self.close(request)

    def lose_input(self, why: str) -> None:
        """Give up on unconsumed input: the service is informed, and may still answer."""
        self._upload.give_up()
        self._input.lose(why)

    # failover

    def abandon(self, replica: Address, now: int) -> None:
        """Repeat all requests of a silent replica at another one, at once, unless it reported to be at work."""
        self._fleet.silent(replica, now)
        if self._fleet.other(replica, now) == replica:
            self._change_flow(now)
        self._upload.move(replica, self._fleet.other(replica, now))
        self._move([each for each in self._requests if each.replica == replica], replica, now)

    def work_lost(self, request: InFlight, replica: Address, now: int) -> None:
        """Repeat at `replica` a request of whose work its own one knows nothing any more."""
        self._counters.hit("work_lost")
        request.be_patient(0)
        self._repeat(request, replica, now)

    def abandon_work(self, replica: Address, now: int) -> None:
        """Abandon a replica that no longer says whether it is at work."""
        self._lose_patience(replica)
        self.abandon(replica, now)

    def _lose_patience(self, replica: Address) -> None:
        for request in self._requests:
            if request.replica == replica:
                request.be_patient(0)

    def on_unreachable(self, replica: Address, now: int) -> None:
        """Move the requests of an unreachable replica at once: a dead process is no congestion."""
        if not self._fleet.heeds(replica, now, self.round_trip.probe_timeout(self._limits)):
            return
        self._lose_patience(replica)  # it is not at work
        self._fleet.silent(replica, now)
        if not self.doubt(replica, now):  # all are gone: probes will find one that returns
            self.round_trip = self.round_trip.hastened()

    def _change_flow(self, now: int) -> None:
        self._fleet.flows.change()
        self._tried_at = now

    def doubt(self, replica: Address, now: int) -> bool:
        """Act as `abandon` on an unauthenticated sign; return False when neither a replica nor a flow is left to try.

        A forger makes the client send requests twice, each once in a probe timeout. An answer to one of them shows the
        forgery.
        """
        other = self._fleet.other(replica, now)
        if self._fleet.suspect(other, now):
            if other != replica or not self._fleet.flows.may_hurry:
                return False
            self._change_flow(now)
        since = now - self.round_trip.probe_timeout(self._limits)
        moved = [each for each in self._requests if each.replica == replica and each.doubted_at <= since]
        self._remember([each.newest for each in moved], replica)
        for request in moved:
            request.on_doubted(now)
        self._move(moved, replica, now)
        self._remember(self._upload.doubt(replica, self._fleet.other(replica, now), since, now), replica)
        return True

    def _remember(self, numbers: Iterable[int], replica: Address) -> None:
        for number in numbers:
            self.doubted[number & 0xFFFF] = replica
            if len(self.doubted) > MOST_DOUBTED:
                del self.doubted[next(iter(self.doubted))]

    def _move(self, requests: list[InFlight], replica: Address, now: int) -> None:
        """Repeat those requests elsewhere, except for those that the replica reported to be at work on."""
        other, impatient = self._fleet.other(replica, now), [each for each in requests if each.patience <= now]
        for request in impatient:
            self._repeat(request, other, now)
        self.failovers += bool(impatient)

    def _repeat(self, request: InFlight, replica: Address, now: int) -> None:
        """Repeat a request there; silence about work that is lost begins now. A hello's is replaced by a restart."""
        if request.blob or not request.incarnation:
            was_at_work = request.incarnation != 0
            request.retry(now, replica, silence_from=now if was_at_work else None)
            if was_at_work:  # others may move at the same time
                request.be_patient(now + MOVED_PATIENCE)
        else:
            request.on_lost()
            self.close(request)

    def cling(self) -> None:
        """Use one replica only, since the others see this client at other addresses."""
        self._fleet.cling()
        self._upload.gather(self._fleet.home)

    # silence

    def next_timeout(self) -> int:
        """Return the earliest time at which a repeat is due or `on_timeout` has something to do, or NEVER."""
        due = NEVER
        if len(self._requests):
            due, _ = self._deadlines()
            for request in self._requests:
                if request.retry_at is not None and request.retry_at < due:
                    due = request.retry_at
        return min(due, self._piece_deadline()) if self._upload.active else due

    def idle(self, now: int) -> bool:
        """Return True when nothing has arrived for longer than a timeout: the window is old."""
        return now - self.progress_at > self.round_trip.timeout(self._limits)

    def _deadlines(self) -> tuple[int, int]:
        """Return when to probe and when to restart, with requests in flight; a repeat delays the next probe only."""
        first = repeated = NEVER
        for request in self._requests:  # one pass: this runs after each sending
            patience, at = request.patience, request.sent_at
            at = patience if patience > at else at
            first = at if at < first else first
            if request.retry_at is None:
                at = patience if patience > request.sent_last else request.sent_last
                repeated = at if at < repeated else repeated
        rto = max(self.progress_at, first) + self.round_trip.timeout(self._limits)
        if self.round_trip.backoff:
            rto = min(rto, self._last_try(first))
        if repeated == NEVER:
            return rto, rto
        if self._hurries:
            return min(self._tried_at + self._haste(), rto), rto
        pause = self.round_trip.probe_timeout(self._limits) << self._probes
        return min(max(self.progress_at, repeated) + pause, rto), rto

    @property
    def _hurries(self) -> bool:
        """True when the next probe shall soon try another flow to the only replica, which is silent."""
        fleet = self._fleet
        return self._tried_at > self.progress_at and len(fleet.replicas) == 1 and fleet.flows.may_hurry

    def _haste(self) -> int:
        """Return the pause between such probes: after a silence the queues are empty, and answers come quickly."""
        least = max(2 * self.round_trip.minimum, self._limits.probe_floor)
        return min(least, self.round_trip.probe_timeout(self._limits))

    def _piece_deadline(self) -> int:
        due = self._upload.deadline(self.round_trip, self._limits, self.progress_at)
        if due is None:
            return NEVER
        return min(due, self._last_try(self._tried_at)) if self.round_trip.backoff else due

    def on_timeout(self, now: int) -> None:
        """Act on silence: probe another replica, then restart; ConnectionFailed if it lasts too long."""
        if self._upload.active and now >= self._piece_deadline():
            self._pieces_overdue(now)
        if not len(self._requests):
            return
        self._give_up(now)
        probe_at, restart_at = self._deadlines()
        if now >= restart_at:
            self._time_out(now)
        elif now >= probe_at:
            self._probe(now)

    def _last_try(self, sent_at: int) -> int:
        """Return a time shortly before the end, since a back-off may lead beyond; then the end itself."""
        end = self._ends_at()
        last = end - self._limits.rto_floor - self.round_trip.probe_timeout(self._limits)
        return last if sent_at < last else end

    def _ends_at(self) -> int:
        """Return when the silence has lasted too long, whatever is still to be repeated."""
        patience = max([request.patience for request in self._requests], default=0)
        return max(self.progress_at, self._asked_at, self._awaited_at, patience) + self._limits.give_up_after

    def _give_up(self, now: int) -> None:
        if now >= self._ends_at():
            raise ConnectionFailed("no replica answers")

    def _pieces_overdue(self, now: int) -> None:
        """Probe another replica with a piece when no receipt came in time; later treat all pieces as lost."""
        self._give_up(now)
        timeout = self.round_trip.timeout(self._limits)
        if self.round_trip.probe_timeout(self._limits) << self._upload.probes < timeout:
            self._leave_silent_flow(self._upload.probes, now)
            self._tried_at = now
            self._upload.probe(lambda silent: self._fleet.other(silent, now))
            return
        self.round_trip = self.round_trip.backed_off()
        self._change_flow(now)
        for replica in self._upload.asked:
            self._fleet.silent(replica, now)
        self._upload.timed_out(lambda silent: self._fleet.other(silent, now))

    def _probe(self, now: int) -> None:
        waiting = [request for request in self._requests if request.retry_at is None]
        request = min(waiting, key=lambda each: (each.patience > now, each.sent_at))
        self._leave_silent_flow(self._probes, now)
        self._probes += 1
        self._tried_at = now
        self._counters.hit("probes")
        request.probe(self._fleet.other(request.replica, now), now)

    def _leave_silent_flow(self, probes: int, now: int) -> None:
        """Change the flow when as many probes as there are replicas went unanswered."""
        if self._hurries or probes >= len(self._fleet.replicas):
            self._change_flow(now)

    def _time_out(self, now: int) -> None:
        self._counters.hit("timeouts")
        self.round_trip = self.round_trip.backed_off()
        self._probes = 0
        restarting, path = self._flight.restarting, self._path
        if restarting is not None and restarting.datagram_bytes > path.datagram_bytes:
            path.on_larger_lost(path.datagram_bytes)  # larger ones passed before, but not now
        asked = [sent.replica for each in self._requests for sent in each.datagrams.values() if not sent.refused]
        for request in list(self._requests):
            request.on_lost()
            self.close(request)
        for replica in dict.fromkeys([*asked, self._fleet.home]):
            self._fleet.silent(replica, now)
        self._change_flow(now)
        self._flight.on_timeout()

    def restore(self, round_trip: RoundTrip, failovers: int, stall_us: int, served: dict[Address, int]) -> None:
        self.round_trip, self.failovers, self.stall_us, self.served = round_trip, failovers, stall_us, served
