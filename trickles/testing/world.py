"""The shared parts of a simulation."""

from __future__ import annotations

from dataclasses import dataclass, field

from trickles.testing.clock import Clock
from trickles.testing.journal import Journal
from trickles.testing.link import Link
from trickles.testing.network import Network
from trickles.testing.seeds import Seeds

WALL = 1_700_000_000_000_000  # wall-clock microseconds at the start of every run


@dataclass(frozen=True, slots=True)
class World:
    """The clock, network, random streams, journal and links of one run.

    `wall` is the wall-clock time at virtual time 0, microseconds.
    """

    clock: Clock
    network: Network
    seeds: Seeds
    journal: Journal
    wall: int = WALL
    links: list[Link] = field(default_factory=list)
