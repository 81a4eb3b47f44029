"""The journal of a run: a digest, equal for equal runs, and on request every line."""

from __future__ import annotations

from trickles.drivers.addresses import shown
from trickles.testing.packet import Packet
from trickles.testing.stats import Fate

_PRIME = 0x100000001B3  # FNV-1a, 64 bits: quick in plain integers and the same on every machine
_MASK = (1 << 64) - 1


class Journal:
    """Records the fate of every packet on every link.

    The digest covers times, sizes, links and fates; payloads only with `payloads` (key exchanges may use entropy
    without a seed). With `record`, `lines` has a readable line for each note.
    """

    __slots__ = ("_payloads", "_record", "_state", "lines")

    def __init__(self, *, record: bool = False, payloads: bool = False) -> None:
        self._state = 0xCBF29CE484222325
        self._record = record
        self._payloads = payloads
        self.lines: list[str] = []

    @property
    def digest(self) -> str:
        """16 hexadecimal digits of everything noted so far."""
        return f"{self._state:016x}"

    def packet(self, now: int, link: int, name: str, packet: Packet, fate: Fate | None) -> None:
        """Note a packet offered to a link at `now`, and why it is dropped if it is."""
        value = (((now << 17) | packet.wire_bytes) << 12) | (link << 3) | (0 if fate is None else fate.value)
        self._state = ((self._state ^ value) * _PRIME) & _MASK
        if self._payloads:
            self._state = ((self._state ^ int.from_bytes(packet.data, "big")) * _PRIME) & _MASK
        if self._record:
            end = "" if fate is None else f"  {fate.name}"
            self.note(now, f"{name}: {packet.wire_bytes} B {shown(packet.source)} > {shown(packet.destination)}{end}")

    def note(self, now: int, what: str) -> None:
        """Keep a line about another event (only with `record`)."""
        if self._record:
            self.lines.append(f"{now / 1e6:12.6f} {what}")
