"""A listener whose every step is measured: all datagrams in and out pass a `Watch`.

A watch holds the fleet's keyring, opens what clients send, and looks at what listeners answer by itself; so it can
stand before a listener whoever the client is. What a listener remembers may be lost at any time (`drop_caches`): then
its next life begins, for which everything is new.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tests.fuzz.cheats.meter import measured
from tests.fuzz.cheats.oracles import INITIAL, Debt, Findings
from trickles.errors import BadPacket
from trickles.keyring import Keyring
from trickles.limits import DEFAULT_LIMITS, MILLISECOND, SECOND
from trickles.listener import Listener
from trickles.listener.paths import PathCache
from trickles.ranges import RangeSet
from trickles.wire.kinds import Address, Burst, Kind, RequestFlag, ResponseFlag
from trickles.wire.request import RequestBody, parse_body_untrusted, split_untrusted
from trickles.wire.response import HEADER, parse_frames_untrusted

REPEATED = 16  # a response flag: this packet proves nothing

# An honest request of one run and one want makes 110 to 200 calls and takes 55 kB; each packet of its answer makes one
# call more, and takes its own size twice and a little. Five times that is allowed.
CALLS, CALLS_EACH, CALLS_PACKET = 700, 40, 10
PEAK, PEAK_EACH, PEAK_SENT, PEAK_PACKET = 300_000, 1_000, 10, 2_000
CALLS_COMMIT, PEAK_COMMIT = 2_500, 1 << 20  # 64 records of logs that are looked at, 4 pieces that are read
MOST_PACKETS = 400  # of one answer


class Asked(NamedTuple):
    """A request as the watch opened it."""

    number: int
    key: bytes  # of the nonces that it proves
    body: RequestBody


class Life:
    """What one listener did since it began, or last lost its memory."""

    def __init__(self) -> None:
        self.at_once, self.restarted = Debt(50 * MILLISECOND), Debt(50 * MILLISECOND)
        self.lately, self.bytes_lately = Debt(10 * SECOND), Debt(10 * SECOND)
        self.used: dict[bytes, RangeSet] = {}
        self.sent: dict[tuple[int, int], bool] = {}  # by nonce and number: whether a repeat had it sent
        self.asked: dict[int, Asked] = {}
        self.put_off: dict[int, tuple[int, int]] = {}  # packets and bytes paid, by requests that wait for an answer
        self.answered: Counter[bytes] = Counter()


class Watch:
    """A listener whose every step is measured."""

    def __init__(self, inner: Listener, keyring: Keyring, findings: Findings, *, memory: bool = True) -> None:
        self.inner = inner
        self.counters = inner.counters
        self._findings = findings
        self._paths = PathCache(keyring, DEFAULT_LIMITS)
        self._life = Life()
        self._memory = memory

    @property
    def on_ready(self) -> Callable[[], None] | None:
        """See Listener."""
        return self.inner.on_ready

    @on_ready.setter
    def on_ready(self, call: Callable[[], None]) -> None:
        self.inner.on_ready = call

    def drop_caches(self) -> None:
        """See Listener."""
        self.inner.drop_caches()
        self._life = Life()

    def next_timeout(self) -> int | None:
        """See Listener."""
        cost = measured(self.inner.next_timeout, most_calls=100_000, memory=False)
        self._findings.saw("idle work", cost.calls)
        return cost.result

    def poll(self, now: int, true: int | None = None) -> list[Burst]:
        """See Listener; `true` is the time on the wall, where this replica's clock is wrong."""
        bursts = self.inner.poll(now)
        paid, paid_bytes = self._put_off(bursts)
        self._note(bursts, b"", paid, now if true is None else true, paid_bytes)
        return bursts

    def handle(self, datagram: bytes, source: Address, *, now: int, true: int | None = None) -> list[Burst]:
        """See Listener and `poll`."""
        true = now if true is None else true
        asked = self._open(datagram)
        bursts, dropped = self._measured(datagram, source, asked, now)
        host = source[0]
        if datagram[0] == Kind.PING and bursts:
            self._findings.pinged[host] = max(self._findings.pinged.get(host, 0), len(datagram))
        paid, paid_bytes = 0, len(datagram)
        if datagram[0] == Kind.HELLO and bursts:
            paid, paid_bytes = INITIAL + 3, paid_bytes + (INITIAL + 3) * 1_200
        if asked is not None and not dropped and not _repeated(bursts):  # such an answer uses nothing up
            fresh = self._newly_used(asked)
            paid, paid_bytes = 2 * len(fresh), paid_bytes + 2 * sum(fresh)
            self._findings.proved.add(host)
        if asked is not None and not bursts and not dropped:
            self._life.put_off[asked.number & 0xFFFF] = paid, paid_bytes
            paid = paid_bytes = 0
        self._note(bursts, datagram, paid, true, paid_bytes)
        restart = asked is not None and asked.body.flags & RequestFlag.RESTART
        count = sum(each[0] == Kind.RESPONSE for burst in bursts for each in burst.datagrams()) if restart else 0
        self._findings.saw("restarted", self._life.restarted.add(true, paid, count))
        self._unproved(host, len(datagram), bursts)
        return bursts

    def _put_off(self, bursts: Sequence[Burst]) -> tuple[int, int]:
        """What requests paid, in packets and bytes, whose answers have come only now."""
        requests = {each[2:4] for burst in bursts for each in burst.datagrams() if each[0] == Kind.RESPONSE}
        paid = [self._life.put_off.pop(int.from_bytes(request, "big"), (0, 0)) for request in requests]
        return sum(packets for packets, _ in paid), sum(size for _, size in paid)

    def _open(self, datagram: bytes) -> Asked | None:
        if datagram[:1] != bytes((Kind.REQUEST,)):
            return None
        try:
            header, blob, number = split_untrusted(datagram)
            path = self._paths.open_untrusted(blob)
            body = parse_body_untrusted(path.session.open_request_untrusted(header, datagram))
        except BadPacket:
            return None
        asked = self._life.asked[number & 0xFFFF] = Asked(number, path.state.nonce_key, body)
        return asked

    def _measured(self, datagram: bytes, source: Address, asked: Asked | None, now: int) -> tuple[list[Burst], bool]:
        """What the listener answers, and whether it turned the request away."""
        before = self._turned_away()
        items = len(asked.body.runs) + len(asked.body.wants) if asked else 0
        calls, peak = CALLS + CALLS_EACH * items, PEAK + PEAK_EACH * items
        if asked is not None and asked.body.flags & RequestFlag.COMMIT:
            calls, peak = calls + CALLS_COMMIT, peak + PEAK_COMMIT
        elif datagram[0] == Kind.PIECE:
            calls += CALLS_COMMIT
        most, bursts = calls + CALLS_PACKET * MOST_PACKETS, list[Burst]()
        try:
            cost = measured(lambda: self.inner.handle(datagram, source, now=now), most_calls=most, memory=self._memory)
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            self._findings.errors.append(repr(error))
            self._findings.saw("raised", len(self._findings.errors))
            return [], True
        bursts = cost.result or []
        count = sum(len(burst.buffers) // 2 for burst in bursts)
        size = sum(len(buffer) for burst in bursts for buffer in burst.buffers)
        self._findings.saw("work", cost.calls / (calls + CALLS_PACKET * count))
        self._findings.saw("memory", cost.peak_bytes / (peak + PEAK_SENT * size + PEAK_PACKET * count))
        return bursts, self._turned_away() > before or cost.stopped

    def _turned_away(self) -> int:
        turned = ("dropped.", "refused.address", "refused.expired", "refused.epoch")
        return sum(count for name, count in self.counters.items() if name.startswith(turned))

    def _newly_used(self, asked: Asked) -> list[int]:
        """The sizes in bytes of the packets that earn something here for the first time."""
        used, sizes, body = self._life.used.setdefault(asked.key, RangeSet()), self._findings.sizes, asked.body
        fresh: list[int] = []
        for start, stop, _ in body.runs:
            if not body.flags & RequestFlag.RESTART:
                start, stop = max(start, body.lo), min(stop, body.hi)
            gaps = used.missing(start, stop)
            fresh += [sizes.get((asked.key, number), 0) for gap in gaps for number in range(*gap)]
            used.add(start, stop)
        return fresh

    def _note(self, bursts: Sequence[Burst], datagram: bytes, paid: int, true: int, paid_bytes: int = 0) -> None:
        count = size = 0
        for burst in bursts:
            for each in burst.datagrams():
                size += self._counted_bytes(each, burst.destination[0])
                if each[0] == Kind.RESPONSE:
                    count += 1
                    self._response(each, burst.destination[0])
        life, saw = self._life, self._findings.saw
        self._findings.packets += count
        if count and datagram:
            life.answered[datagram[-16:]] += 1
            saw("replayed", life.answered[datagram[-16:]] - 1 if datagram[0] == Kind.REQUEST else 0)
        if datagram:  # what a service put off was granted before, and comes when the service likes
            saw("at once", life.at_once.add(true, paid, count))
        saw("in 10 s", life.lately.add(true, paid, count))
        saw("bytes in 10 s", life.bytes_lately.add(true, paid_bytes, size))

    def _counted_bytes(self, datagram: bytes, host: str) -> int:
        """Its size; as of a small datagram if it is larger and the host showed that such pass."""
        size, small = len(datagram), DEFAULT_LIMITS.min_datagram_bytes
        return min(size, small) if size <= self._findings.pinged.get(host, 0) else size

    def _response(self, datagram: bytes, host: str) -> None:
        _, flags, request, _, number, nonce, _ = HEADER.unpack_from(datagram)
        asked = self._life.asked.get(request)
        if len(datagram) > max(self._findings.pinged.get(host, 0), DEFAULT_LIMITS.min_datagram_bytes):
            self._findings.saw("too large", self._findings.worst["too large"] + 1)
        if asked is None or (flags & REPEATED and not nonce):
            return
        key = asked.key
        if flags & ResponseFlag.TRANSPORT:
            frame = parse_frames_untrusted(datagram, flags).transport
            assert frame is not None
            key = self._paths.open_untrusted(frame.blob).state.nonce_key
        self._findings.sizes[key, number] = self._counted_bytes(datagram, host)
        self._earned(nonce, number, asked)

    def _earned(self, nonce: int, number: int, asked: Asked) -> None:
        life, findings = self._life, self._findings
        repeat, before = bool(asked.body.flags & RequestFlag.PROBE), life.sent.get((nonce, number))
        if before is not None:
            name = "fetched again" if repeat or before else "earned twice"
            findings.saw(name, findings.worst[name] + 1)
            if (nonce.to_bytes(8, "big"), number) in findings.lost:
                findings.saw("hidden", findings.worst["hidden"] + 1)
        life.sent[nonce, number] = repeat

    def _unproved(self, host: str, received: int, bursts: Sequence[Burst]) -> None:
        if host in self._findings.proved:
            return
        traffic = self._findings.traffic.setdefault(host, [0, 0])
        traffic[0] += received
        traffic[1] += sum(len(buffer) for burst in bursts for buffer in burst.buffers)
        self._findings.saw("unproved", traffic[1] / traffic[0])


def _repeated(bursts: Sequence[Burst]) -> bool:
    """True when the answer is one packet that says that all was sent before."""
    packets = [each for burst in bursts for each in burst.datagrams() if each[0] == Kind.RESPONSE]
    return len(packets) == 1 and bool(packets[0][1] & REPEATED)
