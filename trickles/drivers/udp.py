"""UDP sockets that move many datagrams per system call."""

from __future__ import annotations

import errno
import socket
from typing import Self

from trickles.drivers import errqueue, sockopts
from trickles.drivers.addresses import Address, SocketAddress, plain_address, socket_address
from trickles.drivers.batch import (
    COALESCED_SIZE,
    COALESCED_SPACE,
    MAX_PAYLOAD_BYTES,
    Ancillary,
    Buffer,
    Outgoing,
    SocketCounters,
    cut,
    joined,
    segmenting,
)
from trickles.drivers.errqueue import PathError
from trickles.drivers.pool import BufferPool
from trickles.drivers.unshared import unshared

FULL = {errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS, errno.ENOMEM}
NOT_SEGMENTED = {errno.EIO, errno.EINVAL}  # no checksum offload, IPsec, or a segment too large for older kernels


class DatagramSender:
    """The sending half of a non-blocking UDP socket; `segments`: its kernel knows UDP_SEGMENT."""

    __slots__ = ("_counters", "_family", "_sendmsg", "segments")

    def __init__(self, sock: socket.socket, counters: SocketCounters, *, segments: bool) -> None:
        self._sendmsg = sock.sendmsg
        self._family = int(sock.family)
        self._counters = counters
        self.segments = segments

    def send(self, burst: Outgoing) -> int:
        """Send a burst in as few system calls as the kernel allows; return how many datagrams it took.

        The others are lost and counted. ValueError for a destination that is not a numeric address of the socket's
        family, or a `segment_bytes` below 1.
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
        """Send one datagram; return True when the kernel took it. ValueError as `send`."""
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
        """Send datagrams that the kernel would not segment; if a full one goes alone, stop segmenting."""
        sent = self._send_each(payload, segment_bytes, target)
        if sent and len(payload) > segment_bytes:
            self.segments = False
        return sent

    def _send_each(self, payload: Buffer, segment_bytes: int, target: SocketAddress) -> int:
        """Send one datagram per call, up to the first that the kernel refuses: later ones would fail too."""
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
        """Make the system call and return 0 or an errno; try twice, since the first error may be an earlier send's."""
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
        """Count `datagrams` by their fate; return how many the kernel took: all or none."""
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


Received = tuple[bytes | memoryview, int, Address]

RECEIVE_BYTES = 1 << 16  # no datagram and no coalesced buffer is larger
COPIED_BYTES = 2048  # a short copy costs less than lending a buffer
KEPT_BUFFERS = 64  # 4 MiB at most, after such a backlog
RECEIVE_BUFFER_BYTES = 8 << 20  # kept by the kernel while the process is busy
SEND_BUFFER_BYTES = 4 << 20  # some 60 full bursts on their way to the wire


class BatchSocket:
    """A UDP socket that moves many datagrams per system call: GSO out, GRO in, plain calls without them.

    It never blocks, never fragments, and never raises for network errors. One thread at a time may use it.
    """

    __slots__ = ("_ancillary_bytes", "_pool", "_raw", "_sender", "_wide", "address", "counters", "send", "send_one")

    def __init__(self, sock: socket.socket, *, offload: bool = True, pool: BufferPool | None = None) -> None:
        """Use a bound UDP socket; without `offload` every datagram takes one system call.

        Sockets of one thread may share a `pool` of buffers of RECEIVE_BYTES.
        """
        sock.settimeout(0)
        sockopts.never_fragment(sock)
        self._raw = sock
        self._wide = sock.family == socket.AF_INET6
        self._ancillary_bytes = COALESCED_SPACE if offload and sockopts.can_coalesce(sock) else 0
        self.address: Address = plain_address(sock.getsockname())
        self._pool = pool or BufferPool(RECEIVE_BYTES, KEPT_BUFFERS)
        self.counters = SocketCounters()
        self._sender = DatagramSender(sock, self.counters, segments=offload and sockopts.can_segment(sock))
        self.send, self.send_one = self._sender.send, self._sender.send_one

    @classmethod
    def bind(
        cls,
        host: str,
        port: int,
        *,
        reuse_port: bool = False,
        freebind: bool = False,
        offload: bool = True,
        receive_buffer_bytes: int = RECEIVE_BUFFER_BYTES,
        send_buffer_bytes: int = SEND_BUFFER_BYTES,
    ) -> Self:
        """Bind to `host` and `port` (0: any free one); "::" or "" takes IPv4 too. OSError as bind(2) does.

        Sockets with `reuse_port` share one port; the kernel spreads the flows over them. With `freebind` the machine
        need not have the address yet. On a machine with several
        addresses name one: replies of a wildcard socket leave with the address that routing chooses.
        """
        family, target = _resolve(host, port)
        return cls._open(
            family,
            target,
            offload=offload,
            reuse_port=reuse_port,
            freebind=freebind,
            buffers=(receive_buffer_bytes, send_buffer_bytes),
        )

    @classmethod
    def unbound(
        cls,
        family: int = socket.AF_INET,
        *,
        offload: bool = True,
        pool: BufferPool | None = None,
    ) -> Self:
        """Open a client's socket on any free port, for any destination; one of AF_INET6 reaches IPv4 too.

        ICMP errors about its datagrams are queued for `unreachable`. While one is queued the socket polls as readable:
        call `unreachable` whenever `receive` returned nothing.
        """
        target = ("::" if family == socket.AF_INET6 else "0.0.0.0", 0)
        buffers = (RECEIVE_BUFFER_BYTES, SEND_BUFFER_BYTES)
        opened = cls._open(family, target, offload=offload, buffers=buffers, pool=pool)
        sockopts.queue_errors(opened._raw)
        return opened

    @classmethod
    def _open(
        cls,
        family: int,
        target: SocketAddress,
        *,
        offload: bool,
        buffers: tuple[int, int],
        reuse_port: bool = False,
        freebind: bool = False,
        pool: BufferPool | None = None,
    ) -> Self:
        sock = unshared(lambda: socket.socket(family, socket.SOCK_DGRAM))
        try:
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            if reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if freebind:
                sockopts.bind_freely(sock)
            sockopts.set_buffers(sock, *buffers)
            sock.bind(target)
            return cls(sock, offload=offload, pool=pool)
        except BaseException:
            sock.close()
            raise

    @property
    def segments(self) -> bool:
        """True when a burst leaves in one system call (GSO); False for good once the kernel refuses."""
        return self._sender.segments

    @property
    def identity(self) -> bytes:
        """Bytes that distinguish this socket: its address, and the kernel's name for it."""
        return repr(self.address).encode() + sockopts.cookie(self._raw)

    def fileno(self) -> int:
        return self._raw.fileno()

    def close(self) -> None:
        """Close the socket; later sends are lost and counted, later receives return nothing."""
        self._raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def receive(self, limit: int = 64) -> list[Received]:
        """Receive in at most `limit` system calls; return `(buffer, segment_bytes, source)` for each.

        A buffer holds one datagram, or many of one source back to back, all of `segment_bytes` but the last (see
        `batch.cut`); it is never empty, and does not change while it or a view of it is held. Short ones are `bytes`;
        copy a part of a view to keep it for long, or it pins 64 KiB.
        """
        pool, wide = self._pool, self._wide
        recvmsg_into, ancillary_bytes = self._raw.recvmsg_into, self._ancillary_bytes
        received: list[Received] = []
        space = pool.take()
        for _ in range(limit):
            try:
                size_bytes, ancillary, _, source = recvmsg_into((space,), ancillary_bytes)
            except BlockingIOError:
                break
            except OSError:  # the error of an earlier send; the details are in the error queue
                continue
            if not size_bytes:
                self.counters.received_empty += 1
                continue
            segment_bytes = COALESCED_SIZE.unpack(ancillary[0][2])[0] if ancillary else size_bytes
            address = plain_address(source) if wide else source
            if size_bytes <= COPIED_BYTES:
                received.append((bytes(memoryview(space)[:size_bytes]), segment_bytes, address))
            else:
                received.append((pool.lend(space, size_bytes), segment_bytes, address))
                space = pool.take()
        pool.give_back(space)
        self.counters.received_buffers += len(received)
        return received

    def unreachable(self) -> list[Address]:
        """Drain the error queue; return the destinations where nobody listens, each once."""
        refused = (error.destination for error in self.path_errors() if error.errno == errno.ECONNREFUSED)
        return [destination for destination in refused if destination]

    def path_errors(self) -> list[PathError]:
        """Drain the error queue; return all errors, paths too narrow for a datagram and their MTU included."""
        return errqueue.drain(self._raw)


def _resolve(host: str, port: int) -> tuple[int, SocketAddress]:
    """Return the family and the address to bind for a host, which may be a name; OSError if there is none."""
    host = host or ("::" if socket.has_dualstack_ipv6() else "0.0.0.0")
    family, _, _, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)[0]
    return family, target  # type: ignore[return-value]
