"""The stage of an attack: a target, a purse of datagrams, and an account of both sides.

An attack is written once and runs against a `Target` of either kind: a listener of this process in virtual time
(`desk`) or a replica at a socket (`live`). `setting` and `ask` belong to the preparation, as any honest client does it;
`strike` is the attack, and only that is accounted for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from trickles.errors import BadPacket, TricklesError
from trickles.tools.peer import CookieChallenge, Peer, Reply
from trickles.wire.hello import NO_COOKIE, Certificate
from trickles.wire.kinds import RequestFlag

ATTACKER, VICTIM = 0, 1  # senders
TRIES = 5  # of each datagram of the preparation, which may be lost
LATE_OUTPUT = 1 << 40  # offset of output that is not made yet: a service works on it, or waits for it
HELLO_WANTS_BYTES = 3_400  # of output: three packets to an unvalidated address


class NoAnswer(TricklesError):
    """The replica does not answer honest requests."""


class PurseEmpty(Exception):
    """The purse of datagrams is empty: the attack ends, and is judged by its results so far."""


class AttackTarget(Protocol):
    """Target of an attack; times are microseconds."""

    certificate: Certificate
    victim_elsewhere: bool  # whether the victim's host address is another than the attacker's

    def ask(self, datagrams: Sequence[bytes], *, sender: int = ATTACKER) -> list[bytes]: ...  # all answers to it
    def memory_bytes(self) -> int | None: ...  # of its process; None where that is not known
    def pause(self, duration: int) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Bounds of an attack; with the defaults it takes seconds on one machine."""

    rounds: int = 40  # repetitions within an attack
    most_datagrams: int = 50_000  # sent and received by one attack, its preparation included
    request: bytes = b"GET / HTTP/1.1\r\nHost: replica\r\n\r\n"  # best with a large answer


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
        """Return a client by hand; the same name on the same stage is the same connection."""
        return Peer(self._seed + b"/" + name.encode())

    def strike(self, datagrams: Sequence[bytes], *, sender: int = ATTACKER) -> list[bytes]:
        """Send datagrams of the attack; PurseEmpty when no more may be sent."""
        answers = self._ask(datagrams, sender)
        self.account.note(datagrams, answers)
        return answers

    def setting(self, datagram: bytes) -> list[bytes]:
        """Send a datagram of the preparation; NoAnswer when several tries get none."""
        for _ in range(TRIES):
            if answers := self._ask([datagram], ATTACKER):
                return answers
        raise NoAnswer("the replica does not answer an honest request")

    def ask(self, datagrams: Sequence[bytes]) -> list[bytes]:
        """Send datagrams of the preparation once; return the answers."""
        return self._ask(datagrams, ATTACKER)

    def pause(self, duration: int) -> None:
        self.target.pause(duration)

    def greet(self, peer: Peer) -> list[bytes]:
        """Run the handshake, with the request as early input; return the answers, which the peer has read."""
        cookie = NO_COOKIE
        for _ in range(TRIES):
            hello = peer.hello(self.target.certificate, self.bounds.request, wanted=HELLO_WANTS_BYTES, cookie=cookie)
            answers = self.setting(hello)
            replies = received(peer, answers)
            cookie = next((each.cookie for each in replies if isinstance(each, CookieChallenge)), cookie)
            if peer.transport is not None:
                return answers
        raise NoAnswer("the replica does not accept this hello: is the certificate the fleet's own?")

    def connect(self, name: str) -> Peer:
        """Return a peer with a validated address: it has the initial window, and a proof of the packets."""
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
    """Let the peer receive datagrams; return those that it can open."""
    replies = []
    for datagram in datagrams:
        try:
            replies.append(peer.receive(datagram))
        except BadPacket:
            continue
    return replies


def restart(peer: Peer, flags: int = RequestFlag.CLEAN) -> bytes:
    """Return an honest restart at the edge of the proof, wanting the output that has not come."""
    return peer.restart(peer.bound(), flags=flags, wants=wanting(peer))


def wanting(peer: Peer) -> tuple[tuple[int, int], ...]:
    """Return the next megabyte of output that has not come."""
    return ((peer.output.next_offset, peer.output.next_offset + (1 << 20)),)
