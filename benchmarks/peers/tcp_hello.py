"""Peer: the least an asyncio server can do, one constant HTTP response to each request head; `PORT` to listen on."""

import asyncio
import signal
import sys

BODY = b"Hello, world\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: text/plain\r\n\r\n%s" % (len(BODY), BODY)
HEAD_END = b"\r\n\r\n"


class Hello(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._pending = transport, b""

    def data_received(self, data: bytes) -> None:
        *heads, self._pending = (self._pending + data).split(HEAD_END)
        if heads:
            self._transport.write(RESPONSE * len(heads))


async def serve(port: int) -> None:
    """Listen until SIGTERM."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, told.set)
    server = await loop.create_server(Hello, "127.0.0.1", port, backlog=1024)
    await told.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
