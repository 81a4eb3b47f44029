"""The keys of a fleet on one machine: creation, rotation, and warnings before their certificates end.

A supervisor owns the keys that it made under its run directory, and rotates them. Keys from elsewhere (`--keyring`) may
have copies on other machines: their maker rotates them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trickles.drivers.keystore import ensure_keystore, fleet_identity, load_keyring, rotate_if, write_server_key
from trickles.drivers.keystore.making import DEFAULT_DELAY, DEFAULT_KEEP, MAX_KEEP
from trickles.drivers.keystore.validity import Reminder, is_due, kind_of, serves_now, warning
from trickles.drivers.world import wall_us
from trickles.errors import KeyringError
from trickles.keyring import Keyring

LOOK_SECONDS = 2.0  # the clock may be set at any time; a check reads four small files in about a millisecond


class KeyKeeper:
    """Keeps the keys at `own`, or those at `given` if that is not None; `report` gets the reports."""

    def __init__(
        self, own: Path, given: str | None, report: Callable[[str], None], *, clock: Callable[[], int] = wall_us
    ) -> None:
        self._own = own
        self._given = given
        self._report = report
        self._clock = clock
        self._reminder, self._troubles = Reminder(), Reminder()

    @property
    def place(self) -> str:
        """The keyring directory of the replicas."""
        return self._given or str(self._own)

    def prepare(self, server_key: Path) -> None:
        """Make keys if there are none, rotate own ones, and write the identity that clients pin; raise KeyringError.

        No replica runs yet, so a new epoch is in force at once.
        """
        if self._given is None:
            ensure_keystore(self._own, now=self._clock())
            self._rotate_if_due(delay=0)
        write_server_key(server_key, fleet_identity(load_keyring(self.place)))
        self._warn(load_keyring(self.place))

    def look(self) -> None:
        """Rotate when it is time, and warn daily while something is wrong; never raises."""
        trouble = None
        try:
            if self._given is None:
                self._rotate_if_due(delay=DEFAULT_DELAY)
        except KeyringError as error:
            trouble = f"the keys cannot be rotated: {error}"
        try:
            self._warn(load_keyring(self.place))
        except KeyringError as error:
            trouble = trouble or str(error)
        if self._troubles.is_due(trouble, self._clock()):
            self._report(str(trouble))

    def _rotate_if_due(self, *, delay: int) -> None:
        """Rotate when it is time: after `delay`, or at once when no certificate is valid now.

        Epochs of the future stay, besides the usual number: clients may remember them.
        """
        now, ring = self._clock(), load_keyring(self._own)
        if not is_due(ring, now):
            return
        ahead = sum(epoch.not_before > now for epoch in ring.epochs)
        keep = min(DEFAULT_KEEP + ahead, MAX_KEEP)
        rotate_if(is_due, self._own, now=now, delay=delay if serves_now(ring, now) else 0, keep=keep)

    def _warn(self, ring: Keyring) -> None:
        now = self._clock()
        text = warning(ring, now)
        if self._reminder.is_due(kind_of(text), now):
            self._report(str(text))
