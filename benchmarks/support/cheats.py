"""The cheats of the simulator, one for each attack: what each says besides what the honest engine says."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from benchmarks.support.cheating import NEVER, REQUEST, Cheat, Outgoing, Paced, Second
from trickles.client.requests import InFlight
from trickles.limits import MILLISECOND
from trickles.tools.attacks.acknowledging import CRUMBS, repeated_claim
from trickles.tools.attacks.flooding import connection_of
from trickles.tools.attacks.stage import restart, wanting
from trickles.tools.peer import OpenedPacket, Peer
from trickles.wire.hello import Certificate
from trickles.wire.kinds import Address, Kind, RequestFlag, ResponseFlag
from trickles.wire.request import request_header, split_untrusted
from trickles.wire.response import HEADER, TransportFrame

BEST = 4  # continuations that are shown in turn
INITIAL_WINDOW = 10  # that a continuation without an address may begin with
_ODD = 0x9E37_79B9_7F4A_7C15


class Replayer(Cheat):
    """Sends every datagram three times."""

    def outgoing(self, datagram: bytes) -> Iterator[bytes]:
        yield from (datagram,) * 3


class Copier(Cheat):
    """Sends each request of the engine to every other replica too, somewhat later: what was lost comes from there."""

    LATER = 60 * MILLISECOND  # for each replica; a round trip is 50 ms

    def __init__(self, replicas: Sequence[Address], certificate: Certificate, seed: str) -> None:
        super().__init__(replicas, certificate, seed)
        self._others = replicas[1:]
        self._copies: deque[tuple[int, bytes, Address]] = deque()  # those that are not due

    def datagrams_to_send(self, *, now: int) -> Outgoing:
        """What the engine says, and the copies that are due."""
        said = super().datagrams_to_send(now=now)
        for turn, other in enumerate(self._others, start=1):
            self._copies += [(now + turn * self.LATER, datagram, other) for datagram, _ in said]
        due = [(datagram, other) for when, datagram, other in self._copies if when <= now]
        self._copies = deque(each for each in self._copies if each[0] > now)
        return said + due

    def next_extra(self) -> int:
        """When the next copy is due."""
        return min((when for when, _, _ in self._copies), default=NEVER)


class Optimist(Second):
    """Claims sixteen numbers more than came, again and again; where that is believed, it goes on from there."""

    interval = 20 * MILLISECOND
    NUMBERS = 16

    def __init__(self, replicas: Sequence[Address], certificate: Certificate, seed: str) -> None:
        super().__init__(replicas, certificate, seed)
        self._claimed = self._believed = 0

    def answered(self, packet: OpenedPacket, now: int) -> None:  # noqa: ARG002
        """What comes after a claim shows that it was believed."""
        if self._claimed:
            self._believed = self._claimed

    def attack(self, now: int) -> Iterator[bytes]:
        """An honest beginning, then claims whose run is stretched over what did not come, by a nonce made up."""
        peer = self.second
        if peer.transport is not None and peer.transport.embryo:
            yield restart(peer)
        elif runs := peer.proof(peer.base)[:1]:
            start, stop, nonce = runs[0]
            lo = max(stop, self._believed)
            self._claimed = lo + self.NUMBERS
            false = ((start, self._claimed, nonce ^ (_ODD * now % (1 << 64))),)
            yield peer.speak(lo, self._claimed, runs=false, wants=wanting(peer))


class Hider(Cheat):
    """Fetches lost packets again, and lets the engine see what came after them only then: it never shows a loss."""

    PATIENCE = 300 * MILLISECOND  # then the loss is shown after all
    AGAIN = 120 * MILLISECOND  # a round trip with its queues
    APART = 6 * MILLISECOND
    TRIES = 3  # in vain, and the attack is given up

    def __init__(self, replicas: Sequence[Address], certificate: Certificate, seed: str) -> None:
        super().__init__(replicas, certificate, seed)
        self._held: dict[int, bytes] = {}  # later packets, by number
        self._expected = 0
        self._since = self._asked_at = 0
        self._hopeless = 0  # repeats that came without a nonce
        self._tried: dict[int, int] = {}  # number -> when it may be asked for again

    def incoming(self, packet: OpenedPacket, datagram: bytes, now: int) -> None:
        """In order, or held back."""
        self.peer.remember(packet)
        if packet.number < self._expected or packet.transport is not None:
            self.hand_on(datagram, now)
            self._expected = max(self._expected, packet.number + 1)
            return
        if not self._held:
            self._since = now
        self._held[packet.number] = datagram
        self._release(now)

    def answered(self, packet: OpenedPacket, now: int) -> None:
        """What was lost comes once more: as if it answered what it was first asked for with."""
        asked = self._asked_for(packet.number)
        if not packet.proves:
            self._hopeless += 1
            self._release(now)
        if asked is None or not packet.proves or packet.number in self.peer.nonces:
            return
        self.peer.nonces.add(packet.number, packet.nonce)
        fields = next(reversed(asked.datagrams)), bytes(8), packet.number, packet.nonce, packet.offset
        clear = HEADER.pack(Kind.RESPONSE, 0, *fields)
        self._held[packet.number] = b"".join(self.peer.session.seal_response(clear, packet.data, tagged=False))
        self._release(now)

    def _release(self, now: int) -> None:
        """What is in order, or what there is no use in holding back: after long in vain, all of it."""
        vain = now - self._since > self.PATIENCE or self._hopeless > self.TRIES
        while self._held:
            at = min(self._held)
            if not vain and at > self._expected and self._asked_for(self._expected):
                return
            self.hand_on(self._held.pop(at), now)
            if at > self._expected:
                self._since = now
            self._expected = max(self._expected, at + 1)

    def extra(self, now: int) -> Iterator[bytes]:
        """A repeat for the next number that is missing in front of what came; a replica answers one every 5 ms."""
        self._release(now)
        due, number = self._next_repeat()
        if now >= due and self.peer.transport is not None:
            self._asked_at = now
            self._tried = {each: at for each, at in self._tried.items() if each >= self._expected}
            self._tried[number] = now + self.AGAIN
            self.number()
            yield from repeated_claim(self.peer, number, self.peer.transport)

    def _asked_for(self, number: int) -> InFlight | None:
        """The request of the engine that it was granted for: numbers that a new beginning skips have none."""
        return next((claim for claim in self.client.in_flight if claim.start <= number < claim.stop), None)

    def _next_repeat(self) -> tuple[int, int]:
        """When the next number may be asked for, and which."""
        missing = [each for each in range(self._expected, min(self._held, default=0)) if self._asked_for(each)]
        when, number = min(((self._tried.get(each, 0), each) for each in missing), default=(NEVER, 0))
        return max(when, self._asked_at + self.APART), number

    def next_extra(self) -> int:
        """When a repeat is due, or patience ends."""
        return min(self._next_repeat()[0], self._since + self.PATIENCE + 1) if self._held else NEVER


class Hoarder(Second):
    """Begins anew from every continuation that it ever got, in turn, with what arrives by that."""

    interval = 25 * MILLISECOND
    APART = 128  # numbers between two beginnings

    def __init__(self, replicas: Sequence[Address], certificate: Certificate, seed: str) -> None:
        super().__init__(replicas, certificate, seed)
        self._at = 0

    def attack(self, now: int) -> Iterator[bytes]:  # noqa: ARG002
        peer, frame = self.second, self._best()[self.turn % BEST]
        base = frame.episode.base
        self._at = max(self._at, peer.top) + self.APART
        runs = () if frame.embryo else peer.nonces.runs(base, base + self.APART)
        yield peer.restart(self._at, flags=RequestFlag.CLEAN, frame=frame, runs=runs, wants=wanting(peer))

    def _best(self) -> list[TransportFrame]:
        """The continuations that promise most: those without an address, and those with proof, by their window."""
        peer = self.second
        usable = [frame for frame in peer.frames if frame.embryo or frame.episode.base in peer.nonces]
        usable.sort(key=lambda frame: INITIAL_WINDOW if frame.embryo else frame.episode.start, reverse=True)
        return (usable * BEST)[:BEST]


class HelloFlooder(Paced):
    """Says hello for connections that it never uses, at the rate at which the download's own requests go out."""

    interval = 24 * MILLISECOND  # 1,200 bytes each: 400 kbit/s

    def strike(self, now: int) -> Iterator[bytes]:
        yield Peer(f"{self.seed}/{now}").hello(self.certificate, REQUEST, wanted=1 << 20)


class ConnectionFlooder(Paced):
    """Opens one connection behind the other besides its own; each takes its first window and is left."""

    interval = 100 * MILLISECOND  # two round trips: as long as each lasts

    def __init__(self, replicas: Sequence[Address], certificate: Certificate, seed: str) -> None:
        super().__init__(replicas, certificate, seed)
        self._newest: Peer | None = None
        self._restarts: list[bytes] = []

    def strike(self, now: int) -> Iterator[bytes]:
        self._newest = Peer(f"{self.seed}/{now}")
        yield self._newest.hello(self.certificate, REQUEST, wanted=1 << 20)

    def foreign(self, datagram: bytes, now: int) -> None:  # noqa: ARG002
        """The first answer to a hello: take the first window too."""
        peer = self._newest
        if peer is None or peer.transport is not None or connection_of(datagram) != peer.session.connection:
            return
        peer.receive(datagram)
        self._restarts.append(restart(peer))

    def extra(self, now: int) -> Iterator[bytes]:
        """Restarts that are due, and the next hello."""
        yield from self._restarts
        self._restarts.clear()
        yield from super().extra(now)


class Splitter(Cheat):
    """Grows its window by crumbs while it is small, and claims every number by itself once more."""

    SMALL_WINDOW = 24  # packets: half its fair share
    TRIES = 3  # requests for crumbs that were not answered in full, and it takes no more of them

    def __init__(self, replicas: Sequence[Address], certificate: Certificate, seed: str) -> None:
        super().__init__(replicas, certificate, seed)
        self._short = 0

    def incoming(self, packet: OpenedPacket, datagram: bytes, now: int) -> None:
        """Look whether crumbs pay."""
        self._short += bool(packet.flags & ResponseFlag.SHORT)
        super().incoming(packet, datagram, now)

    def outgoing(self, datagram: bytes) -> Iterator[bytes]:
        """The request for crumbs or as it was, then its parts."""
        body = self.body_of(datagram)
        if body is None or body.flags or body.hi <= body.lo or self.peer.transport is None:
            yield datagram
            return
        course = self.client.course
        small = course.window(body.hi) < self.SMALL_WINDOW
        if small and course.edge(body.hi) - course.edge(body.lo) <= len(CRUMBS) and self._short < self.TRIES:
            _, blob, number = split_untrusted(datagram)
            altered = body._replace(wants=CRUMBS).encode()
            datagram = self.peer.session.seal_request(request_header(Kind.REQUEST, blob, number), altered)
        yield datagram
        for number in range(body.lo, body.hi):
            self.number()
            yield self.peer.request(body._replace(lo=number, hi=number + 1))
