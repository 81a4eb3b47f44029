"""What a simulated TCP flow puts on the wire. Sequence numbers count segments, all of one size."""

from __future__ import annotations

from dataclasses import dataclass

HEADER_BYTES = 52  # IPv4 20, TCP 20, timestamp option 12


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of data, with the time it was sent (the timestamp option)."""

    number: int
    sent_at: int


@dataclass(frozen=True, slots=True)
class Ack:
    """All below `upto` and the runs [start, stop) beyond it have arrived; `echo` is the timestamp answered to.

    The runs are complete, where real SACK (RFC 2018) has room for three.
    """

    upto: int
    runs: tuple[tuple[int, int], ...]
    echo: int
