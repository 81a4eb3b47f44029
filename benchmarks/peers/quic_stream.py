"""Peer: one stream of aioquic, both ends, with windows that do not bound it; `--datagram N` sets the size in bytes."""

import argparse
import asyncio
import contextlib
import datetime as dt
import ssl
import tempfile
from collections.abc import Sequence
from pathlib import Path

from aioquic.asyncio.client import connect
from aioquic.asyncio.server import QuicServer, serve
from aioquic.quic.configuration import QuicConfiguration
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from benchmarks.peers.contract import Arguments, Fetch, mapped, parse_arguments, serve_until_told
from benchmarks.support.net import free_udp_ports

PIECE_BYTES = 256 * 1024
WINDOW_BYTES = 16 << 20
PROTOCOL = "bench"


def configuration(is_client: bool, options: Sequence[str]) -> QuicConfiguration:
    """Settings of one end; the client does not check the server's name, which has no cost per byte."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--datagram", type=int, default=1452)
    return QuicConfiguration(
        is_client=is_client,
        alpn_protocols=[PROTOCOL],
        max_data=WINDOW_BYTES,
        max_stream_data=WINDOW_BYTES,
        max_datagram_size=parser.parse_args(options).datagram,
        verify_mode=ssl.CERT_NONE,
    )


def load_certificate(settings: QuicConfiguration) -> None:
    """Give the server a fresh self-signed certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    now = dt.datetime.now(dt.UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    built = built.not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with tempfile.TemporaryDirectory() as folder:
        certificate, private = Path(folder, "certificate.pem"), Path(folder, "key.pem")
        certificate.write_bytes(built.sign(key, hashes.SHA256()).public_bytes(pem))
        private.write_bytes(secret)
        settings.load_cert_chain(certificate, private)


async def run_server(arguments: Arguments) -> None:
    """Send the file on every stream a client opens."""
    content, sending = mapped(arguments.file), set[asyncio.Task[None]]()

    async def send(writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(content), PIECE_BYTES):
                writer.write(content[start : start + PIECE_BYTES])
                await writer.drain()
            writer.write_eof()

    def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(send(writer))
        sending.add(task)
        task.add_done_callback(sending.discard)

    settings = configuration(is_client=False, options=arguments.options)
    load_certificate(settings)
    host, port = arguments.address[0], arguments.address[1] or free_udp_ports(1)
    server: QuicServer = await serve(host, port, configuration=settings, stream_handler=accept)
    await serve_until_told(port)
    server.close()


async def fetch(arguments: Arguments) -> None:
    """Open a stream, say one byte on it, read the file."""
    settings = configuration(is_client=True, options=arguments.options)
    fetched = Fetch(arguments.size_bytes)
    async with connect(*arguments.address, configuration=settings) as connection:
        reader, writer = await connection.create_stream()
        writer.write(b"?")
        while data := await reader.read(PIECE_BYTES):
            fetched.write(data)
        fetched.finish()


def main() -> None:
    arguments = parse_arguments()
    asyncio.run(run_server(arguments) if arguments.role == "server" else fetch(arguments))


if __name__ == "__main__":
    main()
