"""The keyring of an application without a fleet: under another server, or in a script."""

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
    """Return a function that gives the keyring in a directory made by `trickles keys init`, by default
    TRICKLES_KEYRING.

    For `App(keyring=...)` where the server provides none. New keys are read within a second. Raise `KeyringError`,
    whose text names the fix, for keys that are missing, damaged or open to others; later failures leave the last good
    keys in use.
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
