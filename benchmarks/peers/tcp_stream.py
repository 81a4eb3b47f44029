"""Peer: a plain asyncio TCP stream, one file per connection."""

import asyncio
import contextlib

from benchmarks.peers.contract import Arguments, Fetch, mapped, parse_arguments, port_of, serve_until_told

PIECE_BYTES = 256 * 1024
LIMIT_BYTES = 1 << 20  # the stream's buffer; asyncio's default of 64 KiB pauses the socket more often


async def serve(arguments: Arguments) -> None:
    """Send the file to everyone who connects."""
    content = memoryview(mapped(arguments.file))

    async def send(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(content), PIECE_BYTES):
                writer.write(content[start : start + PIECE_BYTES])
                await writer.drain()
            writer.close()
            await writer.wait_closed()

    host, port = arguments.address
    server = await asyncio.start_server(send, host, port, limit=LIMIT_BYTES)
    await serve_until_told(port_of(server.sockets[0]))
    server.close()


async def fetch(arguments: Arguments) -> None:
    """Read one connection to its end."""
    fetched = Fetch(arguments.size_bytes)
    reader, writer = await asyncio.open_connection(*arguments.address, limit=LIMIT_BYTES)
    while data := await reader.read(PIECE_BYTES):
        fetched.write(data)
    fetched.finish()
    writer.close()


def main() -> None:
    arguments = parse_arguments()
    asyncio.run(serve(arguments) if arguments.role == "server" else fetch(arguments))


if __name__ == "__main__":
    main()
