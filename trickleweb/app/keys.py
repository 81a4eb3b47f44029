"""The keys of an application that no fleet gives any: under another server, or in a script."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from trickles.drivers.keystore import KeyringSource
from trickles.keyring import Keyring

LOOK_EVERY_S = 1.0


def key_directory(
    path: str | os.PathLike[str] | None = None, *, clock_s: Callable[[], float] = time.monotonic
) -> Callable[[], Keyring]:
    """What gives the keyring in a directory, as `trickles keys init` makes it; without one, in TRICKLES_KEYRING.

    It is for `App(keyring=...)` where the server brings none. New keys are seen within a second. `KeyringError`, whose
    text names the fix, for keys that are missing, damaged or open to others; later on the last good ones stay in use.
    """
    source = KeyringSource(path)
    looked_at = clock_s()

    def keyring() -> Keyring:
        nonlocal looked_at
        now = clock_s()
        if now - looked_at >= LOOK_EVERY_S:
            looked_at = now
            source.changed()
        return source.keyring

    return keyring
