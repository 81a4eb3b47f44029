"""The listener's side of the spool: pieces in, receipts out, commits checked.

A spool over a network acknowledges pieces later. Those on their way are bounded, in total and for each host; a piece
beyond the bounds is dropped as if the network had lost it, so that its client reduces its window (RFC 5681).
"""

from __future__ import annotations

from trickles.errors import BadPacket, InputLost
from trickles.limits import Limits
from trickles.listener.context import ListenerContext
from trickles.listener.paths import Path
from trickles.listener.recent import Recent
from trickles.promise import Promise
from trickles.service import Buffer, Spooled
from trickles.shares import host_of
from trickles.spool import Kept, Spool, SpoolFull, receipt
from trickles.wire.kinds import Address, Burst
from trickles.wire.piece import Receipt, parse_commit_untrusted, parse_piece_untrusted
from trickles.wire.request import RequestBody
from trickles.wire.response import SALT_BYTES

MOST_FIRSTS = 64  # connections with a cached beginning of input, 128 KiB each
MOST_PIECES = 4  # of a beginning read for one request: the service may read more if it needs them
MOST_PIECE_BYTES = 1 << 15  # the same in bytes: a beginning may be dropped before its next request


class PiecesUnderWay:
    """Counts pieces on their way to the spool, in total and by host."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.max_storing_pieces, limits.max_storing_bytes
        self._all = 0, 0
        self._hosts: dict[bytes, tuple[int, int]] = {}

    def has_room(self, host: bytes, size: int) -> bool:
        """Return True if one more piece of that host may be on its way; a host has half of all places."""
        (pieces, size_bytes), (own, own_bytes) = self._all, self._hosts.get(host, (0, 0))
        most, most_bytes = self._most
        mine = 2 * own < most and 2 * (own_bytes + size) <= most_bytes
        return mine and pieces < most and size_bytes + size <= most_bytes

    def begin(self, host: bytes, size: int, kept: Promise[Kept]) -> None:
        """Count a piece until its promise is resolved."""
        self._add(host, 1, size)
        kept.then(lambda _: self._add(host, -1, -size))

    def _add(self, host: bytes, pieces: int, size: int) -> None:
        own, own_bytes = self._hosts.pop(host, (0, 0))
        if own + pieces:
            self._hosts[host] = own + pieces, own_bytes + size
        self._all = self._all[0] + pieces, self._all[1] + size


class Spooler:
    """Writes pieces, issues receipts and checks commits."""

    def __init__(self, spool: Spool | None, context: ListenerContext) -> None:
        self.spool = spool
        self._entropy = context.entropy
        self._limits = context.limits
        self._counters = context.counters
        self._firsts: Recent[bytes, tuple[int, bytes]] = Recent(MOST_FIRSTS)
        self._storing = PiecesUnderWay(context.limits)

    def clear(self) -> None:
        self._firsts.clear()

    def write(self, path: Path, body: Buffer) -> tuple[int, int, Kept | Promise[Kept]]:
        """Store one piece; return its place, and what became of it."""
        assert self.spool is not None
        offset, data = parse_piece_untrusted(body)
        size, host = len(data), host_of(path.state.address)
        if not self._storing.has_room(host, size):
            return offset, offset + size, None
        kept: Kept | Promise[Kept]
        try:
            kept = self.spool.write(path.session.identity, host, offset, data)
        except SpoolFull as full:
            kept = full
        if isinstance(kept, Promise):
            self._storing.begin(host, size, kept)
        return offset, offset + size, kept

    def receipt(self, path: Path, source: Address, number: int, start: int, stop: int, store: bytes) -> Burst:
        """Return the receipt for a piece that lies in that store, as the answer to a request."""
        self._counters.hit("pieces")
        proof = receipt(path.state.nonce_key, store, start, stop)
        clear = Receipt(number, start, stop, proof).clear(self._entropy(SALT_BYTES))
        tag = path.session.tag(clear)
        return Burst(source, len(clear) + len(tag), [clear, tag])

    def input(self, path: Path, body: RequestBody) -> tuple[bytes, Spooled]:
        """Return the committed input: its beginning, and access to all of it.

        InputLost when the receipts are of another store, or the store lacks some of the input; InputBusy when more
        requests are needed to find out.
        """
        origin, stop, proof = parse_commit_untrusted(body.input)
        start, spool, owner = body.input_offset, self.spool, path.session.identity
        if not origin <= start <= stop:
            raise BadPacket("commit of other input than offered")
        if spool is None or receipt(path.state.nonce_key, spool.identity, origin, stop) != proof:
            raise InputLost("the receipts are not of this store")
        if not spool.holds(owner, start, stop):
            raise InputLost("the store has a hole")

        def read(a: int, b: int) -> bytes:
            data = spool.read(owner, a, b)
            if len(data) != b - a:
                raise InputLost("the store does not hold it any more")
            return data

        return self._first(spool, owner, start, stop), Spooled(start, stop, read)

    def _first(self, spool: Spool, owner: bytes, start: int, stop: int) -> bytes:
        """Return the beginning of committed input, or some of it; all commits of a long upload share one.

        Bytes read before are cached, and one request reads MOST_PIECES and MOST_PIECE_BYTES at most.
        """
        size = min(stop - start, self._limits.max_event_input_bytes)
        at, data = self._firsts.find(owner) or (start, b"")
        known = data[start - at :] if at <= start <= at + len(data) else b""
        if len(known) < size:
            most = min(size, len(known) + MOST_PIECE_BYTES)
            more = spool.read(owner, start + len(known), start + most, MOST_PIECES)
            if not more:
                raise InputLost("the store does not hold it any more")
            known += more
            self._firsts.add(owner, (start, known))
        return known[:size]

    def consumed(self, path: Path, below: int) -> None:
        """Note that the service has consumed the connection's input below that offset."""
        if self.spool is not None:
            self.spool.discard(path.session.identity, below)
