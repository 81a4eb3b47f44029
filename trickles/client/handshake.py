"""The client's side of the handshake: certificate, hello, cookie, with retries to other replicas.

Until the fleet's first answer nothing is authentic but certificates of the right identity, and those can be copies. So
an arriving datagram may change the content of the next one, but hardly its time: one cookie or change of certificate
in each HASTE lets it leave early, or 25 forged bytes would trigger 1,200. The handshake ends early only if another
fleet answers several datagrams in a row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from trickles.client.config import ClientConfig
from trickles.client.fleet import ReplicaSet
from trickles.errors import BadPacket, ConnectionFailed, IdentityError
from trickles.handshake import MAX_EARLY_INPUT, check_fresh, seal_hello, verify_certificate_untrusted
from trickles.limits import MILLISECOND
from trickles.wire.hello import ASK_BYTES, COOKIE_BYTES, Certificate, Hello, HelloInside
from trickles.wire.kinds import Address, Kind, RequestFlag

STRANGERS_ONLY = 4  # datagrams in a row that another fleet answered
HASTE = 250 * MILLISECOND  # least interval of hellos that leave early, for a cookie or another epoch
FIRST_RETRY = 250 * MILLISECOND
LAST_RETRY = 2000 * MILLISECOND


class Handshake:
    """The handshake, until the first continuation: one datagram at a time, repeated with growing pauses."""

    def __init__(self, config: ClientConfig, fleet: ReplicaSet, secret: bytes) -> None:
        self.certificate: Certificate | None = None
        self._refused = ""  # the reason, of the last certificate
        self._stranger_answered = False  # the last datagram
        self._strangers = 0  # datagrams in a row that another fleet answered
        self._hastened_at: int | None = None
        self.deadline: int | None = None
        self.sent_at: int | None = None  # of the hello, while it was sent only once
        self.sample: int | None = None  # how long the certificate took, when it was asked for once
        self._config = config
        self._fleet = fleet
        self.secret = secret
        self._hello: Hello | None = None
        self._refusals = 0
        self._refusals_heard: set[bytes] = set()  # their tags: a copy is no second refusal
        self._awaits_refusal = False  # one for each hello
        self._pause = FIRST_RETRY
        self._started: int | None = None
        self._replica = fleet.pick(0)
        self._asked = self._replica  # by the last datagram
        self._asks = 0
        self.made = 0  # hellos, one for each epoch
        self.early_input = b""
        self.early_flags = 0
        self.wanted = 0
        if config.certificate is not None:
            self._learn(config.certificate)

    def begin(self, now: int) -> None:
        self.deadline = now

    def datagrams(self, now: int, early: Callable[[], tuple[bytes, bool]], wanted: int) -> list[tuple[bytes, Address]]:
        """Return the datagrams that are due; `early` gives the input so far, and whether it ends, for the hello."""
        if self.deadline is None or now < self.deadline:
            return []
        self._check_patience(now)
        self._asked = self._replica
        self.deadline = now + self._pause
        self._pause = min(self._pause * 2, LAST_RETRY)
        if self.certificate is None:
            self._asks += 1
            return [(bytes((Kind.ASK,)).ljust(ASK_BYTES, b"\0"), self._replica)]
        if self._hello is None:
            self._hello = self._make(self.certificate, *early(), wanted)
            self.sent_at = now
        else:
            self.sent_at = None
        self._awaits_refusal = True
        return [(self._hello.encode(), self._replica)]

    def _check_patience(self, now: int) -> None:
        """Raise ConnectionFailed after too long without an answer, or with answers of another fleet only."""
        if self._started is None:
            self._started = now
        self._strangers = self._strangers + 1 if self._stranger_answered else 0
        self._stranger_answered = False
        if self._strangers >= STRANGERS_ONLY or now - self._started > self._config.limits.give_up_after:
            raise ConnectionFailed(f"identity: {self._refused}" if self._strangers else "no answer to the handshake")

    def timed_out(self, now: int) -> None:
        due = self._started is not None and self.deadline is not None and now >= self.deadline
        if due and self._asked == self._replica:  # else it was left already
            self._move(now)

    def unreachable(self, replica: Address, now: int) -> None:
        """Try another replica at once, unless all are gone; this is forgeable, so it counts once for each datagram."""
        if replica == self._replica == self._asked and self.deadline is not None:
            self._move(now)
            self._pause = FIRST_RETRY  # a dead process is no congestion
            others = self._replica != replica and not self._fleet.suspect(self._replica, now)
            others = others or (self._replica == replica and self._fleet.flows.may_hurry)
            self.deadline = now if others else min(self.deadline, now + FIRST_RETRY)

    def refused_by(self, source: Address, tag: bytes) -> bool:
        """Return True when a refusal is the first since the last hello, and no copy."""
        if not self._awaits_refusal or not tag or source != self._asked or tag in self._refusals_heard:
            return False
        self._refusals_heard.add(tag)
        self._awaits_refusal = False
        return True

    def not_here(self, now: int) -> None:
        """Try another replica, since this one lacks the content; ConnectionFailed when all do."""
        self._refusals += 1
        if self._fleet.exhausted(self._refusals):
            raise ConnectionFailed("no replica can continue")
        self._move(now)
        self.deadline = now + self._fleet.pause(self._refusals, self._config.limits.busy_delay)

    def certified(self, data: bytes, now: int) -> None:
        """Take a certificate; one of another fleet than the pinned or trusted one is only counted."""
        known = self.certificate
        try:
            self._learn(data)
        except IdentityError as error:
            self._refused = str(error)
            self._stranger_answered = True
            return
        if self.certificate is not known:  # not for a repeated answer: a hello is under way
            self._hello = None
            elapsed = now - self._started if self._started is not None else 0
            self.sample = elapsed if self._asks == 1 else None
            self._pause = min(max(FIRST_RETRY, 2 * elapsed), LAST_RETRY)  # for long paths
            if known is None:
                self.deadline = now
            else:
                self._hasten(now)

    def cookie(self, cookie: bytes, now: int) -> None:
        """Take a cookie: the fleet is busy and wants a proof of the address first."""
        if self._hello is not None and len(cookie) == COOKIE_BYTES and self._hello.cookie != cookie:
            self._hello = replace(self._hello, cookie=cookie)
            self._hasten(now)

    def _hasten(self, now: int) -> None:
        """Send the next hello now, unless one has left early just before: this is forgeable."""
        if self._hastened_at is None or now - self._hastened_at >= HASTE:
            self._hastened_at = self.deadline = now

    def _move(self, now: int) -> None:
        self._fleet.silent(self._replica, now)
        silent, self._replica = self._replica, self._fleet.other(self._replica, now)
        if self._replica == silent:
            self._fleet.flows.change()

    def _learn(self, data: bytes) -> None:
        wall = self._config.wall() if self._config.wall else None
        certificate = verify_certificate_untrusted(data, self._config.identity, wall=wall)
        if self._config.identity is None and not self._config.trust(certificate.identity):
            raise IdentityError("the fleet's identity is not trusted")
        newest = self._config.note_start(certificate.identity, certificate.not_before)
        if wall is not None:
            check_fresh(certificate, newest, wall)
        if certificate != self.certificate:
            self.certificate = certificate

    def _make(self, certificate: Certificate, early: bytes, ended: bool, wanted: int) -> Hello:
        config = self._config
        self.made += 1
        data = early[:MAX_EARLY_INPUT] if len(early) <= MAX_EARLY_INPUT else b""
        ended = ended and len(data) == len(early)
        self.early_input, self.wanted = data, wanted
        if data or ended:
            self.early_flags = RequestFlag.INPUT | (RequestFlag.INPUT_END if ended else 0)
        size = config.limits.min_datagram_bytes
        inside = HelloInside(self.secret, config.limits.max_datagram_bytes, ended, wanted, data)
        if len(self.secret) != 32:
            raise BadPacket("a secret has 32 bytes")
        return seal_hello(certificate, config.suite, inside, size=size)
