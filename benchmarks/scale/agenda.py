"""The agenda of a model: the next datagram of each client, by the millisecond in which it arrives."""

from collections import defaultdict
from collections.abc import Callable

from trickles.limits import MILLISECOND


class Agenda:
    """Events in order of time, then of clients: a list for each millisecond, sorted when its time comes.

    An event is one integer. It may add events of later milliseconds only, which a round trip always is.
    """

    def __init__(self, clients: int) -> None:
        self._bits = max(clients - 1, 1).bit_length()
        self._slots: defaultdict[int, list[int]] = defaultdict(list)
        self._changes: defaultdict[int, list[Callable[[], object]]] = defaultdict(list)
        self._slot = -1
        self.handled = 0  # events

    def add(self, client: int, when: int) -> None:
        """Let a datagram of that client arrive at `when`, at the next millisecond at the earliest."""
        slot = when // MILLISECOND
        if slot <= self._slot:
            slot = self._slot + 1
            when = slot * MILLISECOND
        self._slots[slot].append(when << self._bits | client)

    def change(self, when: int, call: Callable[[], object]) -> None:
        """Call that before the events of the millisecond of `when`."""
        self._changes[when // MILLISECOND].append(call)

    def run(self, stop: int, handle: Callable[[int, int], object]) -> None:
        """Handle the events before `stop` by `handle(client, when)`."""
        bits, mask = self._bits, (1 << self._bits) - 1
        for slot in range(self._slot + 1, stop // MILLISECOND):
            self._slot = slot
            for call in self._changes.pop(slot, ()):
                call()
            events = self._slots.pop(slot, None)
            if events is not None:
                events.sort()
                self.handled += len(events)
                for event in events:
                    handle(event & mask, event >> bits)
