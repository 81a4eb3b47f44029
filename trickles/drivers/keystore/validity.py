"""Validity of a keyring's certificates: when they end, when to rotate, and warnings before.

A certificate is valid for CERTIFICATE_LIFE (30 days) from its epoch's start; a rotation every ROTATE_EVERY (7 days)
leaves at least 23 days. Warnings begin 14 days (WARN_BEFORE) ahead: two rotations have been missed by then.

Clocks may be wrong. One that was ahead when an epoch was made leaves a certificate that begins in the future, and until
then all clients refuse the fleet; one that is ahead now lets all certificates end. Then no certificate `serves_now`,
and the next epoch is due at once, in force at once. The epoch that begins in the future stays in the keyring: clients
that saw it while the clocks were wrong remember its start, and refuse older ones from then on (`check_fresh`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from trickles.drivers.keystore.document import epoch_name
from trickles.drivers.keystore.source import KeyringSource
from trickles.drivers.world import wall_us
from trickles.handshake import DAY, ROTATE_EVERY
from trickles.keyring import Epoch, Keyring
from trickles.limits import SECOND
from trickles.wire.hello import parse_certificate_untrusted

WARN_BEFORE = 14 * DAY
REMIND_EVERY = DAY
START_SLACK = 60 * SECOND  # a start so little ahead is accepted: clients allow for CLOCK_TOLERANCE, an hour
_LATEST = timedelta(days=2_900_000)  # the year 9909: certificates of tests outlast datetime
_WHERE = "where the fleet's identity.key is kept"
ROTATE, ROTATE_NOW = f"`trickles keys rotate` {_WHERE}", f"`trickles keys rotate --not-before 0` {_WHERE}"
_LOGGER = logging.getLogger("trickles.keyring")


def ends(epoch: Epoch) -> int:
    """Return when the epoch's certificate ends, in microseconds since 1970."""
    return parse_certificate_untrusted(epoch.certificate).not_after


def covered_until(ring: Keyring, now: int) -> int:
    """Return until when clients get a valid certificate, if nothing is added to the keyring."""
    in_force = ring.newest(now)
    until = ends(in_force)
    for epoch in sorted(ring.epochs, key=lambda each: (each.not_before, each.identifier)):
        if epoch.not_before > in_force.not_before and now < epoch.not_before <= until:
            until = ends(epoch)
    return until


def serves_now(ring: Keyring, now: int) -> bool:
    """Return True when the epoch in force has begun, and its certificate has not ended."""
    epoch = ring.newest(now)
    return epoch.not_before <= now + START_SLACK and now <= ends(epoch)


def is_due(ring: Keyring, now: int) -> bool:
    """Return True when it is time to rotate: no epoch began in the last ROTATE_EVERY, and none will in the next.

    An epoch that begins later may have been made with a wrong clock. Due at once when none `serves_now`.
    """
    return not serves_now(ring, now) or not any(
        now - ROTATE_EVERY < epoch.not_before <= now + ROTATE_EVERY for epoch in ring.epochs
    )


def warning(ring: Keyring, now: int) -> str | None:
    """Return a warning about the keyring's certificates, with the command that mends it, or None."""
    epoch = ring.newest(now)
    return warning_of(epoch_name(epoch.identifier), epoch.not_before, covered_until(ring, now), now)


def warning_of(epoch: str, begins: int, until: int, now: int) -> str | None:
    """Return that warning for an epoch in force that begins at `begins`, with valid certificates until `until`."""
    if now + START_SLACK < begins:
        return (
            f"the certificate of epoch {epoch} begins {date(begins)}, and clients refuse this fleet until then: "
            f"set the clocks right, or run {ROTATE_NOW}, and give the new epoch to all replicas"
        )
    if now <= until - WARN_BEFORE:
        return None
    what, mend = f"the certificate of epoch {epoch}", f"run {ROTATE}, and give the new epoch to all replicas"
    if now > until:
        return f"{what} ended {date(until)}, and new clients refuse this fleet: {mend}"
    return f"{what} ends in {(until - now) // DAY} days, {date(until)}, and new clients will refuse it: {mend}"


def kind_of(text: str | None) -> str | None:
    """Return a warning without the count of days: the same text for the duration of one problem."""
    return None if text is None else re.sub(r" in \d+ days", "", text)


def date(moment: int) -> str:
    """Return a time in microseconds since 1970 as text."""
    since = min(timedelta(microseconds=moment), _LATEST)
    return f"{datetime.fromtimestamp(0, UTC) + since:%Y-%m-%d %H:%M:%S}Z"


class Reminder:
    """Times of a repeated warning: at once if it is new, then every REMIND_EVERY while it lasts.

    A clock that is set back delays nothing.
    """

    def __init__(self) -> None:
        self._said_at = 0
        self._kind: str | None = None

    def is_due(self, kind: str | None, now: int) -> bool:
        """Return True when a warning of that kind is due now; None means no warning."""
        known, self._kind = self._kind, kind
        if kind is None or (kind == known and self._said_at <= now < self._said_at + REMIND_EVERY):
            return False
        self._said_at = now
        return True


class KeyWatch:
    """The keys of a running replica: `look`, called every second, loads new ones and warns before they end.

    `replace` gets a changed keyring. A warning is logged at once and then daily.
    """

    def __init__(
        self,
        source: KeyringSource,
        replace: Callable[[Keyring], None],
        *,
        clock: Callable[[], int] = wall_us,
        report: Callable[[str], None] = _LOGGER.warning,
    ) -> None:
        self._source = source
        self._replace = replace
        self._clock = clock
        self._report = report
        self._reminder = Reminder()

    def look(self) -> None:
        """Check for new keys, and for certificates that are about to end."""
        fresh, now = self._source.changed(), self._clock()
        if fresh is not None:
            self._replace(fresh)
        text = warning(self._source.keyring, now)
        if self._reminder.is_due(kind_of(text), now):
            self._report(str(text))

    def figures(self) -> dict[str, object]:
        """Return public figures, times in seconds since 1970: the epoch in force, the end of valid certificates, the
        epoch that begins last (equal on all replicas), and the number of epochs.
        """
        ring, now = self._source.keyring, self._clock()
        epoch, newest = ring.newest(now), ring.latest()
        return {
            "keys": {
                "epoch": epoch_name(epoch.identifier),
                "certificate_begins": epoch.not_before // SECOND,
                "certificate_ends": covered_until(ring, now) // SECOND,
                "newest": epoch_name(newest.identifier),
                "newest_begins": newest.not_before // SECOND,
                "epochs": len(ring.epochs),
            }
        }
