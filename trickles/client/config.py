"""Configuration of a client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trickles.client.fleet import Policy
from trickles.limits import DEFAULT_LIMITS, Limits
from trickles.wire.kinds import Suite


def accept_any(_identity: bytes) -> bool:
    """Trust any identity: for tests, and for measurements on one machine."""
    return True


def forgetful(_identity: bytes, start: int) -> int:
    """Remember no certificate but the present one."""
    return start


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """Configuration: `identity` pins the fleet's Ed25519 key (32 bytes); without it `trust` decides about the key.

    `note_start` gets an accepted identity and the start of its certificate (microseconds since 1970), and returns the
    newest start ever seen of that identity: older certificates are refused then. This needs `wall`.
    """

    identity: bytes | None = None
    trust: Callable[[bytes], bool] = accept_any
    note_start: Callable[[bytes, int], int] = forgetful
    certificate: bytes | None = None  # of an earlier connection: saves a round trip
    wall: Callable[[], int] | None = None  # microseconds since 1970: certificates that have ended are refused
    suite: Suite = Suite.SEALED
    policy: Policy = Policy.HOME
    first: int | None = None  # index of the replica to begin with, plus a multiple of their number (`ReplicaSet`);
    # None: a dialer chooses it at random, so that clients spread, and a single engine takes the first one
    datagram_bytes: int = 0  # known to pass this path; 0: find out
    size_proof: int = 0  # a replica's proof of that size, from within the last hour; 0: none
    probe_sizes: tuple[int, ...] = (1472, 8972, 65_507)  # Ethernet, jumbo frames, loopback (IPv4 payloads)
    limits: Limits = DEFAULT_LIMITS
