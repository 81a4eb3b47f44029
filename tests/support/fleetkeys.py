"""Keys and entropy of a fleet that are the same in every run."""

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from random import Random

from trickles.handshake import certify
from trickles.keyring import Epoch, Keyring

IDENTITY = bytes(range(32))  # a raw Ed25519 private key
AGES = 1 << 62  # certificates of tests are good whenever those run
WALL = 1_700_000_000_000_000  # microseconds since 1970


@cache
def epoch(identifier: int = 1, *, not_before: int = 0, fleet: str = "fleet", life: int = AGES) -> Epoch:
    """A certified epoch; `fleet` tells apart those that share an id but no key."""
    made = Epoch(identifier, sha256(f"{fleet} {identifier}".encode()).digest(), not_before)
    return certify(made, IDENTITY, life=life)


def ring(*identifiers: int, fleet: str = "fleet") -> Keyring:
    """A keyring of those epochs, each in force from its id in seconds after WALL - 1000 s on."""
    start = WALL - 1_000_000_000
    return Keyring(tuple(epoch(each, not_before=start + each * 1_000_000, fleet=fleet) for each in identifiers or (1,)))


def entropy(seed: int = 0) -> Callable[[int], bytes]:
    """Bytes that look random and are not."""
    return Random(seed).randbytes
