"""An eye on a whole fleet: every datagram in and out, and whether unproved addresses were sent too much."""

from collections import Counter
from collections.abc import Sequence

from trickles.listener import Listener
from trickles.testing import Birth, ListenerFactory
from trickles.wire.kinds import Address, Burst, Kind

MOST_TIMES = 3  # bytes out per byte in, before an address is proved (RFC 9000, 8.1)


class Watch:
    """What all replicas got and gave, by the other side's host; a request that is not turned away proves its host."""

    def __init__(self) -> None:
        self.received: list[bytes] = []  # all datagrams of clients, as they came
        self.sent: list[bytes] = []
        self.proved: set[str] = set()
        self.worst: dict[str, float] = {}  # most bytes out per byte in that a host ever had, while it was unproved
        self._in: Counter[str] = Counter()
        self._out: Counter[str] = Counter()

    def over(self, factory: ListenerFactory) -> ListenerFactory:
        """The same replicas, watched."""

        def born(birth: Birth) -> "Watched":
            listener = factory(birth)
            assert isinstance(listener, Listener)
            return Watched(listener, self)

        return born

    def took(self, datagram: bytes, source: Address) -> None:
        """A replica received that."""
        self.received.append(datagram)
        self._in[source[0]] += len(datagram)

    def gave(self, bursts: Sequence[Burst]) -> None:
        """A replica sent that."""
        for burst in bursts:
            host, datagrams = burst.destination[0], burst.datagrams()
            self.sent += datagrams
            self._out[host] += sum(map(len, datagrams))
            if host not in self.proved:
                self.worst[host] = max(self.worst.get(host, 0.0), self._out[host] / self._in[host])

    def check(self) -> None:
        """No unproved address was ever sent more than three times what had come from it."""
        too_much = {host: round(ratio, 2) for host, ratio in self.worst.items() if ratio > MOST_TIMES}
        assert not too_much, f"bytes out per byte in, before the address was proved: {too_much}"


class Watched:
    """A listener that tells a watch what goes in and out."""

    def __init__(self, inner: Listener, watch: Watch) -> None:
        self.inner = inner
        self.counters = inner.counters
        self.drop_caches = inner.drop_caches
        self.next_timeout = inner.next_timeout
        self._watch = watch

    @property
    def on_ready(self) -> object:
        """See Listener."""
        return self.inner.on_ready

    @on_ready.setter
    def on_ready(self, call: object) -> None:
        assert callable(call)
        self.inner.on_ready = call

    def handle(self, datagram: bytes, source: Address, *, now: int) -> list[Burst]:
        """See Listener."""
        self._watch.took(datagram, source)
        before = self._turned_away()
        bursts = self.inner.handle(datagram, source, now=now)
        if datagram[:1] == bytes((Kind.REQUEST,)) and self._turned_away() == before:
            self._watch.proved.add(source[0])
        self._watch.gave(bursts)
        return bursts

    def poll(self, now: int) -> list[Burst]:
        """See Listener."""
        bursts = self.inner.poll(now)
        self._watch.gave(bursts)
        return bursts

    def _turned_away(self) -> int:
        return sum(count for name, count in self.counters.items() if name.startswith(("dropped.", "refused.")))
