"""How long a keyring's certificates last, when to rotate, and what to say before they end.

A certificate is good for CERTIFICATE_LIFE (30 days) from its epoch's start; a rotation every ROTATE_EVERY (7 days)
keeps at least 23 days in hand. Warnings begin 14 days (WARN_BEFORE) ahead: two rotations have not come by then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from trickles.drivers.keystore.document import epoch_name
from trickles.drivers.keystore.source import KeyringSource
from trickles.drivers.world import wall_us
from trickles.handshake import DAY, ROTATE_EVERY
from trickles.keyring import Epoch, Keyring
from trickles.wire.hello import parse_certificate_untrusted

WARN_BEFORE = 14 * DAY
REMIND_EVERY = DAY
_LATEST = timedelta(days=2_900_000)  # the year 9909: certificates of tests last longer than calendars
ROTATE = "`trickles keys rotate` where the fleet's identity.key is kept"
_LOGGER = logging.getLogger("trickles.keyring")


def ends(epoch: Epoch) -> int:
    """When the epoch's certificate ends, in microseconds since 1970."""
    return parse_certificate_untrusted(epoch.certificate).not_after


def covered_until(ring: Keyring, now: int) -> int:
    """Until when clients get a certificate that is good, if nothing is added to the keyring."""
    in_force = ring.newest(now)
    until = ends(in_force)
    for epoch in sorted(ring.epochs, key=lambda each: (each.not_before, each.identifier)):
        if epoch.not_before > in_force.not_before and now < epoch.not_before <= until:
            until = ends(epoch)
    return until


def is_due(ring: Keyring, now: int) -> bool:
    """Whether it is time to rotate: no epoch began in the last ROTATE_EVERY, and none will in the next.

    One that begins later than that may have been made when the clock was wrong.
    """
    return not any(now - ROTATE_EVERY < epoch.not_before <= now + ROTATE_EVERY for epoch in ring.epochs)


def warning(ring: Keyring, now: int) -> str | None:
    """What people must know about the keyring's certificates, and the command that mends it; None for nothing."""
    return warning_of(epoch_name(ring.newest(now).identifier), covered_until(ring, now), now)


def warning_of(epoch: str, until: int, now: int) -> str | None:
    """The same of the epoch in force, when clients get a good certificate until then."""
    if now <= until - WARN_BEFORE:
        return None
    what, mend = f"the certificate of epoch {epoch}", f"run {ROTATE}, and give the new epoch to all replicas"
    if now > until:
        return f"{what} ended {date(until)}, and new clients refuse this fleet: {mend}"
    return f"{what} ends in {(until - now) // DAY} days, {date(until)}, and new clients will refuse it: {mend}"


def date(moment: int) -> str:
    """A time in microseconds since 1970, for people."""
    since = min(timedelta(microseconds=moment), _LATEST)
    return f"{datetime.fromtimestamp(0, UTC) + since:%Y-%m-%d %H:%M:%S}Z"


class KeyWatch:
    """The keys of a running replica: `look`, called about every second, takes new ones and warns before they end.

    `replace` is given a keyring that has changed. A warning is logged at once and then daily.
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
        self._next = 0

    def look(self) -> None:
        """See whether there are new keys, and whether those in use are about to end."""
        fresh, now = self._source.changed(), self._clock()
        if fresh is not None:
            self._replace(fresh)
            self._next = 0
        if now >= self._next and (text := warning(self._source.keyring, now)):
            self._next = now + REMIND_EVERY
            self._report(text)

    def figures(self) -> dict[str, object]:
        """What others may know: the epoch in force, and until when clients get a good certificate, in seconds."""
        ring, now = self._source.keyring, self._clock()
        until = covered_until(ring, now) // 1_000_000
        return {"keys": {"epoch": epoch_name(ring.newest(now).identifier), "certificate_ends": until}}
