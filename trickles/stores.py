"""The identity of what replicas share besides their keys: ledgers, spools, stores of responses.

Replicas that hold one keyring answer for one another, and for what must happen once they rely on a store that all of
them have. Two stores where one was meant would do it twice. So each store has an identity, `store_id`: 32 bytes,
random, kept in the store, another one for a copy of it as far as that can be told. A tag of it, 4 bytes, is sealed into
a connection's continuations by the replica that greets it; a replica with another store sees that it is not its own.
"""

from __future__ import annotations

import hashlib

STORE_ID_BYTES = 32
TAG_BYTES = 4
NO_STORE = b""


def store_tag(store_id: bytes) -> bytes:
    """What connections carry of a store's identity; zeros for a replica that shares none."""
    return hashlib.sha256(b"trickles 1 store" + store_id).digest()[:TAG_BYTES] if store_id else bytes(TAG_BYTES)


def store_name(store_id: bytes) -> str:
    """The tag as people see it, 8 hex digits: equal where the store is the same."""
    return store_tag(store_id).hex()
