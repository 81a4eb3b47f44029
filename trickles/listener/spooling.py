"""The listener's side of the spool: pieces in, receipts out, commits checked."""

from __future__ import annotations

from collections.abc import Callable

from trickles.errors import BadPacket
from trickles.limits import Limits
from trickles.listener.paths import Path
from trickles.service import Spooled
from trickles.spool import Spool, SpoolFull, receipt
from trickles.trace import Counters
from trickles.wire.kinds import Address, Burst
from trickles.wire.piece import Receipt, parse_commit_untrusted, parse_piece_untrusted
from trickles.wire.request import RequestBody
from trickles.wire.response import SALT_BYTES


class Spooler:
    """Writes pieces and vouches for them."""

    def __init__(
        self, spool: Spool | None, entropy: Callable[[int], bytes], limits: Limits, counters: Counters
    ) -> None:
        self.spool = spool
        self._entropy = entropy
        self._limits = limits
        self._counters = counters

    def piece(self, path: Path, source: Address, number: int, body: bytes) -> Burst | None:
        """Keep one piece and give its receipt; None when the store is full."""
        assert self.spool is not None
        offset, data = parse_piece_untrusted(body)
        try:
            self.spool.write(path.connection, offset, data)
        except SpoolFull:
            self._counters.hit("refused.spool_full")
            return None
        self._counters.hit("pieces")
        stop = offset + len(data)
        proof = receipt(path.state.nonce_key, offset, stop)
        clear = Receipt(number, offset, stop, proof).clear(self._entropy(SALT_BYTES))
        tag = path.session.tag(clear)
        return Burst(source, len(clear) + len(tag), [clear, tag])

    def input(self, path: Path, body: RequestBody) -> tuple[bytes, Spooled]:
        """The input of a request that commits: the beginning of what it commits, and access to all of it."""
        origin, stop, proof = parse_commit_untrusted(body.input)
        start = body.input_offset
        proved = origin <= start <= stop and receipt(path.state.nonce_key, origin, stop) == proof
        if self.spool is None or not proved:
            raise BadPacket("commit without proof")
        spool, connection = self.spool, path.connection
        first = spool.read(connection, start, min(stop, start + self._limits.max_event_input_bytes))
        return first, Spooled(start, stop, lambda a, b: spool.read(connection, a, b))
