"""Bursts between real sockets on loopback: what is sent arrives, however few system calls carried it."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.bursts import Burst, coalescing, drain_until, pattern, segmenting, wait_readable
from trickles.drivers.sockopts import LINUX
from trickles.drivers.udp import BatchSocket

Keep = Callable[[BatchSocket], BatchSocket]
HOSTS = ["127.0.0.1", "::1"]


@pytest.fixture
def keep() -> Iterator[Keep]:
    with ExitStack() as stack:
        yield stack.enter_context


def client_for(server: BatchSocket, *, offload: bool = True) -> BatchSocket:
    family = socket.AF_INET6 if ":" in server.address[0] else socket.AF_INET
    return BatchSocket.unbound(family, offload=offload)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("sends_whole", [True, False])
@pytest.mark.parametrize("receives_whole", [True, False])
def test_a_burst_arrives_as_the_same_datagrams_with_and_without_offload(
    host: str, sends_whole: bool, receives_whole: bool, keep: Keep
) -> None:
    server = keep(BatchSocket.bind(host, 0, offload=receives_whole))
    client = keep(client_for(server, offload=sends_whole))
    burst = Burst(server.address, 1400, [pattern(5 * 1400), pattern(10 * 1400 + 333, start=99)])
    assert client.send(burst) == 16
    received = drain_until(server, 16)
    assert [datagram for datagram, _ in received] == burst.datagrams()
    assert {source[0] for _, source in received} == {host}
    assert {source[1] for _, source in received} == {client.address[1]}
    assert client.counters.sent == 16


@pytest.mark.skipif(not LINUX, reason="IP_FREEBIND is of Linux")
@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_an_address_that_the_machine_has_not_yet_may_be_bound(host: str, keep: Keep) -> None:
    with pytest.raises(OSError, match="Cannot assign requested address"):
        BatchSocket.bind(host, 0)
    assert keep(BatchSocket.bind(host, 0, freebind=True)).address[0] == host


def test_a_coalesced_buffer_says_the_size_of_its_segments(keep: Keep) -> None:
    server = keep(coalescing(BatchSocket.bind("127.0.0.1", 0)))
    client = keep(segmenting(BatchSocket.unbound()))
    payload = pattern(45 * 1400 + 7)
    assert client.send(Burst(server.address, 1400, [payload])) == 46
    wait_readable(server)
    assert server.receive() == [(payload, 1400, ("127.0.0.1", client.address[1]))]
    assert server.counters.received_buffers == 1


@pytest.mark.parametrize(
    ("segment_bytes", "total_bytes", "calls"),
    [(1000, 150 * 1000 + 1, 3), (1400, 100_000, 2), (60_000, 150_000, 3), (65_507, 65_508, 2), (1, 65, 2)],
)
def test_a_burst_past_the_bounds_of_a_call_is_split_between_segments(
    segment_bytes: int, total_bytes: int, calls: int, keep: Keep
) -> None:
    server = keep(coalescing(BatchSocket.bind("127.0.0.1", 0)))
    client = keep(segmenting(BatchSocket.unbound()))
    burst = Burst(server.address, segment_bytes, [pattern(total_bytes)])
    assert client.send(burst) == len(burst.datagrams())
    received = drain_until(server, len(burst.datagrams()))
    assert [datagram for datagram, _ in received] == burst.datagrams()
    assert server.counters.received_buffers == calls


def test_a_burst_of_more_buffers_than_an_io_vector_holds_arrives(keep: Keep) -> None:
    server, client = keep(BatchSocket.bind("127.0.0.1", 0)), keep(BatchSocket.unbound())
    payload = pattern(3000)
    burst = Burst(server.address, 1400, [memoryview(payload)[i : i + 1] for i in range(3000)])
    assert client.send(burst) == 3
    assert b"".join(datagram for datagram, _ in drain_until(server, 3)) == payload


def test_receive_stops_at_its_limit_and_goes_on_where_it_stopped(keep: Keep) -> None:
    server, client = keep(BatchSocket.bind("127.0.0.1", 0)), keep(BatchSocket.unbound())
    for number in range(5):
        assert client.send_one(bytes([number, 1]), server.address)
    wait_readable(server)
    first = server.receive(limit=3)
    rest = server.receive(limit=3)
    assert [buffer[0] for buffer, _, _ in first] == [0, 1, 2]
    assert [buffer[0] for buffer, _, _ in rest] == [3, 4]
    assert server.receive() == []


def test_a_dual_stack_server_sees_plain_ipv4_addresses_and_answers_them(
    keep: Keep,
) -> None:
    server = keep(BatchSocket.bind("::", 0))
    client = keep(BatchSocket.unbound())
    client.send_one(b"over IPv4", ("127.0.0.1", server.address[1]))
    [(question, source)] = drain_until(server, 1)
    assert (question, source) == (b"over IPv4", ("127.0.0.1", client.address[1]))
    burst = Burst(source, 500, [pattern(1200)])
    assert server.send(burst) == 3
    assert [datagram for datagram, _ in drain_until(client, 3)] == burst.datagrams()


def test_an_ipv6_client_reaches_an_ipv4_server(keep: Keep) -> None:
    server, client = keep(BatchSocket.bind("127.0.0.1", 0)), keep(BatchSocket.unbound(socket.AF_INET6))
    assert client.send(Burst(server.address, 1400, [pattern(9000)])) == 7
    assert b"".join(datagram for datagram, _ in drain_until(server, 7)) == pattern(9000)


def test_sockets_that_share_a_port_receive_every_flow_once(keep: Keep) -> None:
    first = keep(BatchSocket.bind("127.0.0.1", 0, reuse_port=True))
    second = keep(BatchSocket.bind("127.0.0.1", first.address[1], reuse_port=True))
    assert second.address == first.address
    clients = [keep(BatchSocket.unbound()) for _ in range(64)]
    for number, client in enumerate(clients):
        assert client.send_one(bytes([number]), first.address)
    received = drain_until((first, second), len(clients))
    assert sorted(datagram[0] for datagram, _ in received) == list(range(64))
    # 64 flows all hashed to one of two sockets: once in 2^63 runs
    assert first.counters.received_buffers > 0
    assert second.counters.received_buffers > 0


def test_a_port_in_use_is_an_error_of_bind() -> None:
    with BatchSocket.bind("127.0.0.1", 0) as holder, pytest.raises(OSError, match="in use"):
        BatchSocket.bind("127.0.0.1", holder.address[1])


@pytest.mark.skipif(not LINUX, reason="other kernels count buffers their own way")
def test_the_kernel_keeps_as_much_as_was_asked_for(keep: Keep) -> None:
    server = keep(BatchSocket.bind("127.0.0.1", 0, receive_buffer_bytes=200_000, send_buffer_bytes=180_000))
    with socket.socket(fileno=os.dup(server.fileno())) as view:
        assert view.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 2 * 200_000  # the kernel doubles it
        assert view.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) >= 2 * 180_000
