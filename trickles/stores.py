"""The identity of a store that replicas share: ledgers, spools, stores of responses.

Replicas of one keyring answer for one another, and for work that must happen once they rely on one store. With two
stores it would happen twice. So each store has a `store_id`: 32 random bytes kept in it, different in a copy as far as
a copy can be detected. The replica that greets a connection seals a tag of 4 bytes into its continuations; a replica
with another store notices the difference.
"""

from __future__ import annotations

import hashlib

STORE_ID_BYTES = 32
TAG_BYTES = 4
NO_STORE = b""


def store_tag(store_id: bytes) -> bytes:
    """Return the tag that connections carry of a store's identity; zeros for a replica without a store."""
    return hashlib.sha256(b"trickles 1 store" + store_id).digest()[:TAG_BYTES] if store_id else bytes(TAG_BYTES)


def store_name(store_id: bytes) -> str:
    """Return the tag as 8 hex digits: equal where the store is the same."""
    return store_tag(store_id).hex()
