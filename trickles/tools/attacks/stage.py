"""Where an attack takes place: something that answers datagrams, a purse of datagrams, and an account of both sides.

An attack is written once and runs against a `Target` of either kind: a listener of this process in virtual time
(`desk`) or a replica behind a socket (`live`). What is asked in `setting` and `ask` belongs to the preparation, as any
honest client does it; what is asked in `strike` is the attack, and only that is accounted for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from trickles.errors import BadPacket, TricklesError
from trickles.tools.peer import CookieChallenge, Peer, Reply
from trickles.wire.hello import NO_COOKIE, Certificate
from trickles.wire.kinds import RequestFlag

ATTACKER, VICTIM = 0, 1  # who sends, and is answered
TRIES = 5  # of each datagram of the preparation, which the network or a busy replica may lose
HELLO_WANTS_BYTES = 3_400  # of output: what three packets to an address that is not proved can hold


class NoAnswer(TricklesError):
    """The replica does not answer what any honest client may ask."""


class PurseEmpty(Exception):
    """The datagrams that an attack may send are spent: it ends, and is judged by what it has done."""


class AttackTarget(Protocol):
    """What is attacked; time is microseconds."""

    certificate: Certificate
    victim_elsewhere: bool  # whether the victim's host address is another than the attacker's

    def ask(self, datagrams: Sequence[bytes], *, sender: int = ATTACKER) -> list[bytes]:
        """Send them one after the other; all that comes back to that sender until nothing more does."""

    def memory_bytes(self) -> int | None:
        """What its process has in memory, None where that cannot be seen."""

    def pause(self, duration: int) -> None:
        """Let time pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much an attack may do; the defaults are over in seconds on one machine."""

    rounds: int = 40  # of whatever an attack repeats
    most_datagrams: int = 50_000  # sent and received by one attack, its preparation included
    request: bytes = b"GET / HTTP/1.1\r\nHost: replica\r\n\r\n"  # what is asked of the service: best something large


@dataclass(slots=True)
class Gain:
    """Datagrams and bytes, sent by an attack and earned by it."""

    sent: int = 0
    sent_bytes: int = 0
    earned: int = 0
    earned_bytes: int = 0

    @property
    def gain(self) -> float:
        """Bytes earned for each byte sent."""
        return self.earned_bytes / self.sent_bytes if self.sent_bytes else 0.0

    def note(self, sent: Iterable[bytes], earned: Iterable[bytes]) -> None:
        """Add what went and what came."""
        for datagram in sent:
            self.sent += 1
            self.sent_bytes += len(datagram)
        for datagram in earned:
            self.earned += 1
            self.earned_bytes += len(datagram)


class Stage:
    """One attack's view of its target."""

    def __init__(self, target: AttackTarget, bounds: Bounds, seed: str | bytes) -> None:
        self.target = target
        self.bounds = bounds
        self.account = Gain()
        self._seed = seed if isinstance(seed, bytes) else seed.encode()
        self._left = bounds.most_datagrams

    def peer(self, name: str) -> Peer:
        """A client by hand; the same name on the same stage is the same connection."""
        return Peer(self._seed + b"/" + name.encode())

    def strike(self, datagrams: Sequence[bytes], *, sender: int = ATTACKER) -> list[bytes]:
        """Send what belongs to the attack; PurseEmpty when all that may be sent was."""
        answers = self._ask(datagrams, sender)
        self.account.note(datagrams, answers)
        return answers

    def setting(self, datagram: bytes) -> list[bytes]:
        """Send what any client may; NoAnswer when several tries bring nothing."""
        for _ in range(TRIES):
            if answers := self._ask([datagram], ATTACKER):
                return answers
        raise NoAnswer("the replica does not answer an honest request")

    def ask(self, datagrams: Sequence[bytes]) -> list[bytes]:
        """Send what any client may, once; whatever comes back."""
        return self._ask(datagrams, ATTACKER)

    def pause(self, duration: int) -> None:
        """Let so many microseconds pass."""
        self.target.pause(duration)

    def greet(self, peer: Peer) -> list[bytes]:
        """The handshake, with the request as early input; the answers, which the peer has read."""
        cookie = NO_COOKIE
        for _ in range(TRIES):
            hello = peer.hello(self.target.certificate, self.bounds.request, wanted=HELLO_WANTS_BYTES, cookie=cookie)
            answers = self.setting(hello)
            replies = received(peer, answers)
            cookie = next((each.cookie for each in replies if isinstance(each, CookieChallenge)), cookie)
            if peer.transport is not None:
                return answers
        raise NoAnswer("the replica does not take this hello: is the certificate the fleet's own?")

    def connect(self, name: str) -> Peer:
        """A peer whose address is proved: it holds the initial window, and a proof of what came."""
        peer = self.peer(name)
        self.greet(peer)
        for _ in range(TRIES):
            received(peer, self.setting(restart(peer)))
            if peer.transport is not None and not peer.transport.embryo:
                return peer
            self.pause(200_000)
        raise NoAnswer("the replica does not begin the transfer: does the service answer this request?")

    def _ask(self, datagrams: Sequence[bytes], sender: int) -> list[bytes]:
        if self._left < len(datagrams):
            raise PurseEmpty
        answers = self.target.ask(datagrams, sender=sender)
        self._left -= len(datagrams) + len(answers)
        return answers


def received(peer: Peer, datagrams: Iterable[bytes]) -> list[Reply]:
    """All that the peer can open of what came, remembered; what it cannot is passed over."""
    replies = []
    for datagram in datagrams:
        try:
            replies.append(peer.receive(datagram))
        except BadPacket:
            continue
    return replies


def restart(peer: Peer, flags: int = RequestFlag.CLEAN) -> bytes:
    """An honest restart: at the edge of all that is proved, wanting what did not come yet."""
    return peer.restart(peer.bound(), flags=flags, wants=wanting(peer))


def wanting(peer: Peer) -> tuple[tuple[int, int], ...]:
    """The next megabyte of output that has not come."""
    return ((peer.output.next_offset, peer.output.next_offset + (1 << 20)),)
