"""Sending bursts: one system call for many datagrams, one for each where the kernel cannot, and losses only counted."""

from __future__ import annotations

import errno
import socket

from trickles.drivers.addresses import Address, SocketAddress, socket_address
from trickles.drivers.batch import (
    MAX_PAYLOAD_BYTES,
    Ancillary,
    Buffer,
    Outgoing,
    SocketCounters,
    cut,
    joined,
    segmenting,
)

FULL = {errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS, errno.ENOMEM}
NOT_SEGMENTED = {errno.EIO, errno.EINVAL}  # no checksum offload there, IPsec; a segment too large for older kernels


class Sender:
    """The sending half of a non-blocking UDP socket."""

    __slots__ = ("_counters", "_family", "_sendmsg", "segments")

    def __init__(self, sock: socket.socket, counters: SocketCounters, *, segments: bool) -> None:
        """Send through `sock`; `segments` says that its kernel knows UDP_SEGMENT."""
        self._sendmsg = sock.sendmsg
        self._family = int(sock.family)
        self._counters = counters
        self.segments = segments

    def send(self, burst: Outgoing) -> int:
        """Send a burst in as few system calls as the kernel allows; return how many datagrams it took.

        The others are lost and counted. Raises ValueError for a destination that is not a numeric address of the
        socket's family, or a `segment_bytes` below 1.
        """
        segment_bytes = burst.segment_bytes
        if segment_bytes < 1:
            raise ValueError("segment_bytes must be at least 1")
        payload = joined(burst.buffers)
        target = socket_address(self._family, burst.destination)
        if len(payload) <= segment_bytes:
            return self._send_datagram(payload, target)
        if self.segments and segment_bytes <= MAX_PAYLOAD_BYTES:
            return self._send_segmented(payload, segment_bytes, target)
        return self._send_each(payload, segment_bytes, target)

    def send_one(self, datagram: Buffer, destination: Address) -> bool:
        """Send one datagram; return whether the kernel took it. Raises ValueError as `send` does."""
        return self._send_datagram(datagram, socket_address(self._family, destination)) == 1

    def _send_segmented(self, payload: Buffer, segment_bytes: int, target: SocketAddress) -> int:
        call_bytes, ancillary = segmenting(segment_bytes)
        sent = 0
        for piece in cut(payload, call_bytes):
            code = self._transmit(piece, ancillary, target)
            if code in NOT_SEGMENTED:
                sent += self._send_refused(piece, segment_bytes, target)
            else:
                sent += self._account(code, -(-len(piece) // segment_bytes))
        return sent

    def _send_refused(self, payload: Buffer, segment_bytes: int, target: SocketAddress) -> int:
        """Send what the kernel would not segment; where a full segment goes alone, segmenting was at fault: stop it."""
        sent = self._send_each(payload, segment_bytes, target)
        if sent and len(payload) > segment_bytes:
            self.segments = False
        return sent

    def _send_each(self, payload: Buffer, segment_bytes: int, target: SocketAddress) -> int:
        """Send one datagram per call, up to the first the kernel refuses: those after it would only cost more calls."""
        pieces = cut(payload, segment_bytes)
        for sent, piece in enumerate(pieces):
            code = self._transmit(piece, (), target)
            if code:
                self._account(code, len(pieces) - sent)
                return self._account(0, sent)
        return self._account(0, len(pieces))

    def _send_datagram(self, datagram: Buffer, target: SocketAddress) -> int:
        return self._account(self._transmit(datagram, (), target), 1)

    def _transmit(self, payload: Buffer, ancillary: Ancillary, target: SocketAddress) -> int:
        """Make the system call; return 0 or an errno. The error may be an earlier send's, told once: so try twice."""
        code = 0
        for _ in range(2):
            try:
                self._sendmsg((payload,), ancillary, 0, target)
            except OSError as error:
                code = error.errno or errno.EIO
                if code in FULL:
                    break
            else:
                return 0
        return code

    def _account(self, code: int, datagrams: int) -> int:
        """Count what became of `datagrams`; return how many the kernel took: all or none."""
        counters = self._counters
        if code == 0:
            counters.sent += datagrams
            return datagrams
        if code in FULL:
            counters.lost_full += datagrams
        elif code == errno.EMSGSIZE:
            counters.lost_too_large += datagrams
        else:
            counters.lost_failed += datagrams
        return 0
