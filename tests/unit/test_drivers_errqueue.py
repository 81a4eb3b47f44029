"""What goes wrong on the way: told or counted, never raised, and never at the cost of another datagram."""

import errno
import json
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from typing import cast

import pytest

from tests.support.bursts import Burst, drain_until, pattern, wait_readable
from tests.support.system import missing, require
from trickles.drivers.addresses import Address
from trickles.drivers.batch import Buffer, SocketCounters
from trickles.drivers.errqueue import EXTENDED_ERROR, PathError, parse
from trickles.drivers.sockopts import IP_RECVERR, IPV6_RECVERR, LINUX
from trickles.drivers.udp import BatchSocket, DatagramSender

linux_only = pytest.mark.skipif(not LINUX, reason="needs Linux's error queue")
LARGEST = 65_507
NOWHERE = ("127.0.0.1", 9)


class FakeKernel:
    """A socket that sends as a kernel with certain faults would."""

    family = socket.AF_INET

    def __init__(self, faults: Sequence[int] = (), *, refuses_segmenting: int = 0, mtu_bytes: int = 1 << 16) -> None:
        self.faults = list(faults)
        self.refuses_segmenting = refuses_segmenting
        self.mtu_bytes = mtu_bytes
        self.calls = 0
        self.sent: list[bytes] = []

    def sendmsg(
        self, buffers: Sequence[Buffer], ancillary: Sequence[tuple[int, int, bytes]], flags: int, address: Address
    ) -> int:
        """Fail as told, else take the datagrams."""
        self.calls += 1
        payload = b"".join(buffers)
        if self.faults and (fault := self.faults.pop(0)):
            raise OSError(fault, "told to fail")
        if ancillary and self.refuses_segmenting:
            raise OSError(self.refuses_segmenting, "cannot segment")
        size = struct.unpack("=H", ancillary[0][2])[0] if ancillary else max(len(payload), 1)
        if min(size, len(payload)) > self.mtu_bytes:
            raise OSError(errno.EMSGSIZE, "too large")
        self.sent += [payload[i : i + size] for i in range(0, len(payload), size)]
        return len(payload)

    def sender(self) -> tuple[DatagramSender, SocketCounters]:
        """Return a sender on this kernel, and its counters."""
        counters = SocketCounters()
        return DatagramSender(cast("socket.socket", self), counters, segments=True), counters


@pytest.mark.parametrize("code", [errno.EIO, errno.EINVAL])
def test_a_kernel_that_refuses_to_segment_gets_one_call_for_each_datagram_ever_after(code: int) -> None:
    kernel = FakeKernel(refuses_segmenting=code)
    sender, counters = kernel.sender()
    burst = Burst(NOWHERE, 1400, [pattern(100 * 1400 + 5)])
    assert sender.send(burst) == 101
    assert kernel.sent == burst.datagrams()
    assert not sender.segments
    calls = kernel.calls
    assert sender.send(burst) == 101
    assert kernel.calls == calls + 101
    assert counters == SocketCounters(sent=202)


def test_segments_too_large_for_the_path_do_not_end_segmenting() -> None:
    kernel = FakeKernel(refuses_segmenting=errno.EINVAL, mtu_bytes=1500)  # what kernels before 6.13 answer
    sender, counters = kernel.sender()
    assert sender.send(Burst(NOWHERE, 9000, [pattern(30_000)])) == 0
    assert sender.segments
    assert counters == SocketCounters(lost_too_large=4)


def test_an_error_left_by_an_earlier_datagram_costs_none_of_this_burst() -> None:
    kernel = FakeKernel([errno.ECONNREFUSED])
    sender, counters = kernel.sender()
    burst = Burst(NOWHERE, 100, [pattern(1000)])
    assert sender.send(burst) == 10
    assert kernel.sent == burst.datagrams()
    assert counters == SocketCounters(sent=10)


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.ENOBUFS])
def test_a_full_send_buffer_drops_and_counts_without_trying_again(code: int) -> None:
    kernel = FakeKernel([0, code, 0])
    sender, counters = kernel.sender()
    assert sender.send(Burst(NOWHERE, 1000, [pattern(150_000)])) == 150 - 64
    assert kernel.calls == 3
    assert counters == SocketCounters(sent=86, lost_full=64)


@pytest.mark.parametrize("code", [errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EPERM, errno.EACCES, errno.EBADF])
def test_whatever_the_kernel_says_of_a_route_is_counted(code: int) -> None:
    kernel = FakeKernel([code] * 2)
    sender, counters = kernel.sender()
    assert not sender.send_one(b"lost", NOWHERE)
    assert sender.send_one(b"taken", NOWHERE)
    assert kernel.sent == [b"taken"]
    assert counters == SocketCounters(sent=1, lost_failed=1)


def test_one_call_for_each_datagram_stops_at_the_first_refused() -> None:
    kernel = FakeKernel([0, 0, errno.EAGAIN])
    sender, counters = kernel.sender()
    sender.segments = False
    assert sender.send(Burst(NOWHERE, 10, [pattern(100)])) == 2
    assert kernel.calls == 3
    assert counters == SocketCounters(sent=2, lost_full=8)


@linux_only
@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"), (socket.AF_INET6, "127.0.0.1")]
)
def test_a_port_nobody_listens_on_is_told_once_for_each_destination(family: socket.AddressFamily, host: str) -> None:
    with BatchSocket.bind(host, 0) as gone, BatchSocket.bind(host, 0) as alive, BatchSocket.unbound(family) as client:
        gone.close()
        for _ in range(3):
            assert client.send_one(b"anyone?", gone.address)
        assert client.send(Burst(alive.address, 100, [pattern(950)])) == 10
        assert len(drain_until(alive, 10)) == 10
        wait_readable(client)
        assert client.receive() == []
        assert client.unreachable() == [gone.address]
        assert client.unreachable() == []
        assert client.counters == SocketCounters(sent=13)


@linux_only
def test_an_error_in_the_queue_does_not_hide_datagrams_that_wait_behind_it() -> None:
    host = "127.0.0.1"
    with BatchSocket.bind(host, 0) as gone, BatchSocket.bind(host, 0) as peer, BatchSocket.unbound() as client:
        gone.close()
        client.send_one(b"anyone?", gone.address)
        peer.send_one(b"here", (host, client.address[1]))
        assert drain_until(client, 1) == [(b"here", peer.address)]
        assert client.unreachable() == [gone.address]


def test_the_largest_datagram_arrives_and_a_larger_one_is_counted() -> None:
    with BatchSocket.bind("127.0.0.1", 0) as server, BatchSocket.unbound() as client:
        assert client.send_one(pattern(LARGEST), server.address)
        assert not client.send_one(bytes(LARGEST + 1), server.address)
        assert client.send(Burst(server.address, LARGEST + 1, [bytes(LARGEST), bytes(LARGEST)])) == 0
        assert client.send(Burst(server.address, 1 << 20, [bytes(1 << 20)])) == 0
        [(datagram, _)] = drain_until(server, 1)
        assert datagram == pattern(LARGEST)
        assert server.receive() == []
        assert client.counters == SocketCounters(sent=1, lost_too_large=4)


@pytest.mark.parametrize("offload", [True, False])
def test_an_empty_datagram_is_counted_and_not_handed_on(offload: bool) -> None:
    with BatchSocket.bind("127.0.0.1", 0, offload=offload) as server, BatchSocket.unbound() as client:
        assert client.send_one(b"", server.address)
        assert client.send(Burst(server.address, 1200, [])) == 1
        assert client.send_one(b"something", server.address)
        assert [datagram for datagram, _ in drain_until(server, 1)] == [b"something"]
        assert server.counters == SocketCounters(received_buffers=1, received_empty=2)


def test_port_zero_and_a_closed_socket_lose_datagrams_quietly() -> None:
    with BatchSocket.unbound() as client:
        could = client.segments
        assert not client.send_one(b"to nobody", ("127.0.0.1", 0))
        assert client.send(Burst(("127.0.0.1", 0), 10, [bytes(100)])) == 0
        assert client.segments == could
        client.close()
        assert not client.send_one(b"too late", NOWHERE)
        assert client.receive() == []
        assert client.unreachable() == []
        assert client.fileno() == -1
        assert client.counters == SocketCounters(lost_failed=12)


@pytest.mark.parametrize("destination", [("localhost", 1), ("::1", 1), ("", 1), ("127.0.0.1", 65536), ("1.2.3.4\0", 1)])
def test_a_destination_that_is_no_address_is_the_callers_mistake(destination: Address) -> None:
    with BatchSocket.unbound() as client:
        with pytest.raises(ValueError, match=r"address|port"):
            client.send_one(b"x", destination)
        with pytest.raises(ValueError, match=r"address|port"):
            client.send(Burst(destination, 1, [b"xy"]))
        with pytest.raises(ValueError, match="segment_bytes"):
            client.send(Burst(NOWHERE, 0, [b"xy"]))


def test_extended_errors_are_read_field_by_field() -> None:
    def record(code: int, info: int) -> bytes:
        return EXTENDED_ERROR.pack(code, 2, 3, 4, 0, info, 0) + bytes(16)

    here = ("192.0.2.1", 443)
    ip4, ip6 = (socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)
    assert parse([(*ip4, record(errno.EMSGSIZE, 1400))], here) == [PathError(here, errno.EMSGSIZE, 1400)]
    assert parse([(*ip6, record(errno.EMSGSIZE, 0))], here) == [PathError(here, errno.EMSGSIZE, None)]
    assert parse([(*ip6, record(errno.ECONNREFUSED, 7))], None) == [PathError(None, errno.ECONNREFUSED, None)]
    assert parse([(socket.IPPROTO_IP, 8, record(1, 1)), (*ip4, record(1, 1)[:15])], here) == []


NARROW = """
import json, socket
from tests.support.bursts import Burst
from trickles.drivers.udp import BatchSocket

for host, family, headers in ("127.0.0.1", socket.AF_INET, 28), ("::1", socket.AF_INET6, 48):
    with BatchSocket.bind(host, 0) as server, BatchSocket.unbound(family) as client:
        fits = 1500 - headers
        sent = [
            client.send_one(bytes(fits), server.address),
            client.send_one(bytes(fits + 1), server.address),
            client.send(Burst(server.address, fits, [bytes(10 * fits)])),
            client.send(Burst(server.address, fits + 1, [bytes(10 * fits)])),
        ]
        arrived = sum(len(buffer) for buffer, _, _ in server.receive())
        mtus = [(error.destination[0], error.mtu_bytes) for error in client.path_errors()]
        client.send_one(bytes(fits + 1), server.address)
        told = client.unreachable()
        print(json.dumps([sent, arrived // fits, client.counters.lost_too_large, mtus, told]))
"""


@pytest.mark.e2e
def test_on_a_narrow_interface_a_datagram_is_never_fragmented() -> None:
    enter = [require("unshare"), "--net", "--map-root-user"]
    script = f'{require("ip")} link set lo up mtu 1500 && exec "$@"'
    if subprocess.run([*enter, "true"], capture_output=True, check=False).returncode:
        missing("permission to make a network namespace")
    command = [*enter, "sh", "-c", script, "sh", sys.executable, "-c", NARROW]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert results == [
        [[True, False, 10, 0], 11, 12, [["127.0.0.1", 1500]], []],
        [[True, False, 10, 0], 11, 12, [["::1", 1500]], []],
    ]
