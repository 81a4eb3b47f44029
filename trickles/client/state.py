"""The state of one connection, shared by the receiving and the sending half of the engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trickles.client.claims import Claim, Claims
from trickles.client.config import ClientConfig
from trickles.client.fleet import Fleet, Policy
from trickles.client.input import InputQueue
from trickles.client.striping import Striping
from trickles.client.uploading import Uploader
from trickles.client.wants import Wants
from trickles.reassembly import Reassembly
from trickles.rtt import RoundTrip
from trickles.scoreboard import Scoreboard
from trickles.session import Session
from trickles.trace import Counters
from trickles.trickle import UNBOUNDED_SSTHRESH, Episode
from trickles.wire.kinds import Address
from trickles.wire.response import TransportFrame

LARGE_BURST = 4  # packets one request may ask for when a single one is as large as a send
MOST_CONVERSIONS = 1024
MOST_DOUBTED = 256  # requests whose replica was called dead, by whoever
NOTHING_YET = Episode(0, 0, UNBOUNDED_SSTHRESH)


@dataclass(slots=True)
class Conversion:
    """A request that brings input, or asks for what lies above the newest continuation: of two replies one stands."""

    start: int  # its first packet number: one below it answers an earlier request with the same low half
    salt: bytes | None = None  # of the reply whose continuation stands


class ConnectionState:
    """Everything a connection is, on the client's side: the server holds none of it."""

    def __init__(self, config: ClientConfig, fleet: Fleet, secret: bytes, entropy: Callable[[int], bytes]) -> None:
        self.config = config
        self.limits = config.limits
        self.fleet = fleet
        self.striping = Striping(fleet) if fleet.policy is Policy.STRIPE else None
        self.entropy = entropy
        self.counters = Counters()
        self.session = Session(secret, config.suite)
        self.transport: TransportFrame | None = None
        self.established = False  # there is a continuation
        self.board = Scoreboard(NOTHING_YET, config.limits)
        self.claims = Claims()
        self.wants = Wants(config.limits.max_continuations)
        self.input = InputQueue(config.limits.kept_input_bytes)
        self.upload = Uploader(self.input, config.limits)
        self.output = Reassembly(config.limits.receive_window_bytes, config.limits.most_out_of_order)
        self.round_trip = RoundTrip()
        self.datagram_bytes = config.limits.min_datagram_bytes
        self.proven_bytes = max(config.datagram_bytes, config.limits.min_datagram_bytes)  # passes, from here at least
        self.size_proof = config.size_proof  # by which a replica believes it
        self.paths = 0  # how often a size was given up because the path is another one
        self.output_end: int | None = None
        self.taken_bytes = 0
        self.spoken = 0  # numbers below were spoken for
        self.last_base = config.limits.max_number - config.limits.max_window  # above no episode can begin
        self.next_number = 0  # above everything that can have been granted
        self.restarting: Claim | None = None
        self.pings: dict[int, int] = {}  # request number and size of those that await their pong
        self.conversions: dict[int, Conversion] = {}  # by the low half of the request number
        self.broken = False  # a grant was not used up: only a restart goes on
        self.tail_lost = False  # a repeat said so of the episode in force: the next restart is not a clean one
        self.timed_out = False  # silence lasted: only a restart goes on, and not a clean one
        self.distrusted = False  # proofs went unanswered: none is shown until an episode begins
        self.renewed_at = 0  # when the continuation in use arrived
        self.begun_at = 0  # when the episode in force began by a restart
        self.progress_at = 0  # when something authentic last arrived
        self.asked_at = 0  # when something was first asked for after that
        self.probes = 0  # since then
        self.challenges = 0  # of the address or an expired continuation, since a packet last came
        self.lacking_since: int | None = None  # when a replica first said, since then, that it cannot continue
        self.reorder_packets = 3
        self.reorder_steps = 1
        self.doubted: dict[int, Address] = {}  # low halves of requests: their replica is dead, says somebody unknown
        self.failovers = 0
        self.stall_us = 0
        self.served: dict[Address, int] = {}

    def begin(self, frame: TransportFrame, now: int) -> None:
        """A new episode from its first number on: nothing of it is proved."""
        self.transport, self.established = frame, True
        base, start, _, _ = frame.episode
        self.board.start_over(frame.episode)
        self.spoken = base
        self.next_number = max(self.next_number, base + start)
        self.broken = self.distrusted = self.tail_lost = False
        self.begun_at = now

    def note_request(self, number: int, start: int, *, conversion: bool) -> None:
        """Remember a request that carries input, and its first packet number: of two replies the first stands."""
        number &= 0xFFFF
        self.conversions.pop(number, None)
        if conversion:
            self.conversions[number] = Conversion(start)
            if len(self.conversions) > MOST_CONVERSIONS:
                del self.conversions[next(iter(self.conversions))]

    def note_asked(self, now: int) -> None:
        """Something is sent that wants an answer: silence lasts from the first time on."""
        if self.asked_at <= self.progress_at:
            self.asked_at = now

    def abandon(self, replica: Address, now: int) -> None:
        """That replica does not answer: repeat all it was asked to another one, at once."""
        self.fleet.silent(replica, now)
        self.upload.move(replica, self.fleet.other(replica, now))
        self._move([claim for claim in self.claims if claim.replica == replica], replica, now)

    def _move(self, claims: list[Claim], replica: Address, now: int) -> None:
        """Repeat those claims elsewhere, but for what that replica has said it is at work on."""
        other, impatient = self.fleet.other(replica, now), [claim for claim in claims if claim.patience <= now]
        for claim in impatient:
            claim.replica = other
            claim.retry_at = now
        self.failovers += bool(impatient)

    def doubt(self, replica: Address, now: int) -> bool:
        """Somebody unknown says that this replica is dead: act as `abandon`; False when there is no other to turn to.

        Whoever forges such words makes the client send requests twice, each once in a probe timeout. An answer to one
        of them shows the forgery.
        """
        if self.fleet.suspect(self.fleet.other(replica, now), now):
            return False
        since = now - self.round_trip.probe_timeout(self.limits)
        moved = [claim for claim in self.claims if claim.replica == replica and claim.doubted_at <= since]
        pieces = self.upload.numbers_at(replica) if self.upload.doubted_at <= since else []
        for request in [*(claim.newest for claim in moved), *pieces]:
            self.doubted[request & 0xFFFF] = replica
            if len(self.doubted) > MOST_DOUBTED:
                del self.doubted[next(iter(self.doubted))]
        for claim in moved:
            claim.doubted_at = now
        self._move(moved, replica, now)
        if pieces:
            self.upload.doubted_at = now
            self.upload.move(replica, self.fleet.other(replica, now))
        return True

    def note_answered(self, request: int, source: Address, now: int) -> None:
        """Something authentic answered that request: its replica was not dead."""
        if self.doubted.get(request & 0xFFFF) == source:
            del self.doubted[request & 0xFFFF]
            self.fleet.false_alarm(now, self.round_trip.probe_timeout(self.limits))

    def cling(self) -> None:
        """Ask one replica only, for the others see this client under other addresses."""
        self.fleet.cling()
        self.upload.gather(self.fleet.home)
        self.striping = None

    def lose_input(self, why: str) -> None:
        """Give up on input that was not consumed: the service is told, and may still answer for its protocol."""
        self.upload.give_up()
        self.input.lose(why)

    def note_spurious(self) -> None:
        """Something declared lost came after all: tolerate more reordering from now on."""
        self.counters.hit("spurious_losses")
        self.reorder_packets = min(self.reorder_packets * 2, 64)
        self.reorder_steps = min(self.reorder_steps + 1, 4)

    @property
    def draining(self) -> bool:
        """True while larger datagrams wait for what is under way: then a restart will use them."""
        return self.widens and len(self.claims) > 0 and self.board.clean

    @property
    def widens(self) -> bool:
        """True when a replica would believe that larger datagrams pass than those in use."""
        return self.proven_bytes > self.datagram_bytes and self.size_proof != 0

    def note_size(self, size: int, proof: int) -> None:
        """Datagrams of that size pass, and that is the proof of it; only the largest counts."""
        if size > self.proven_bytes or (size == self.proven_bytes and not self.size_proof):
            self.proven_bytes, self.size_proof = size, proof

    def note_size_lost(self, size: int) -> None:
        """No datagrams above that size pass any more."""
        self.proven_bytes, self.size_proof = size, 0

    def note_other_path(self) -> None:
        """What was known of sizes holds no more: the address is another one, or its proof has aged."""
        self.datagram_bytes = self.limits.min_datagram_bytes
        self.note_size_lost(self.datagram_bytes)
        self.paths += 1

    @property
    def burst_packets(self) -> int:
        """Packets of one GSO send at the current datagram size; a few when each fills a send by itself."""
        limits, size = self.limits, self.datagram_bytes
        return min(limits.max_burst_packets, max(limits.max_burst_bytes, LARGE_BURST * size) // size)

    @property
    def input_available(self) -> int:
        """The offset behind the input that a request could offer now."""
        return self.upload.stop if self.upload.active else self.input.written

    @property
    def input_due(self) -> bool:
        """True when there is input to offer, the place of its output is known, and all before it was asked for."""
        if not self.input.is_due(self.input_available):
            return False
        tail = self.wants.tail
        return tail is not None and self.wants.asked >= tail

    @property
    def output_limit(self) -> int:
        """Output offset up to which there is buffer."""
        limit = self.taken_bytes + self.limits.receive_window_bytes
        return limit if self.output_end is None else min(limit, self.output_end)

    def statistics(self) -> dict[str, int | str]:
        """Figures for people and logs; times in microseconds."""
        return {
            "bytes_received": self.output.next_offset,
            "bytes_sent": self.input.consumed,
            "datagram_bytes": self.datagram_bytes,
            "window": self.board.course.window(self.board.cursor),
            "srtt_us": self.round_trip.srtt or 0,
            "failovers": self.failovers,
            "longest_stall_us": self.stall_us,
            "replica": f"{self.fleet.home[0]}:{self.fleet.home[1]}",
            **{name.replace(".", "_"): count for name, count in self.counters.items()},
        }
