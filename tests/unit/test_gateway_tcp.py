"""Vectors written past a transport: the stupid way to say it is to join them."""

import asyncio
import os
import select
import socket
import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trickles.gateway.tcp import MOST_VECTORS, half_close, written_at_once
from trickles.service import Buffer


@given(st.lists(st.binary(min_size=1, max_size=3_000), max_size=30), st.integers(1, 5_000))
@settings(max_examples=50, deadline=None)
def test_what_is_written_and_what_is_left_are_the_whole(chunks: list[bytes], room: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, room)
        written, left = b"", list[Buffer](chunks)
        while left:
            left = written_at_once(ours.fileno(), left)
            written += theirs.recv(1 << 20)
        assert written == b"".join(chunks)


def test_more_chunks_than_a_call_takes_are_joined() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert written_at_once(ours.fileno(), [b"x"] * (MOST_VECTORS + 1)) == []
        assert theirs.recv(1 << 20) == b"x" * (MOST_VECTORS + 1)


@pytest.mark.parametrize("broken", [True, False])
def test_a_socket_that_takes_nothing_leaves_everything(broken: bool) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        if broken:
            theirs.close()
        else:
            with suppress(BlockingIOError):
                while True:
                    os.write(ours.fileno(), bytes(1 << 16))
        assert written_at_once(ours.fileno(), [b"one", b"two"]) == [b"one", b"two"]


def test_a_half_close_towards_who_has_reset_the_connection_is_no_error() -> None:
    async def half_closed(ours: socket.socket, theirs: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, ours)
        transport.pause_reading()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()
        select.select([ours], [], [])  # the reset has come
        with pytest.raises(OSError, match="not connected"):
            ours.shutdown(socket.SHUT_WR)
        half_close(transport)
        transport.abort()

    with socket.create_server(("127.0.0.1", 0)) as server:
        theirs = socket.create_connection(server.getsockname())
        ours, _ = server.accept()
        asyncio.run(half_closed(ours, theirs))
