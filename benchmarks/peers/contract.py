"""What every measured end of a transfer does, so that any two kinds compare.

A *server* listens, prints `{"ready": true, "port": N}`, serves the file until SIGTERM, prints its usage since it was
ready, and ends with status 0. A *client* fetches the file once and prints its usage, `seconds` from before the
connection was opened to the last byte, `bytes` and `sha256`. It stores the bytes in memory that was touched before,
and hashes them after the clock and the CPU meter have stopped: hashing is no part of any transport.
"""

import argparse
import asyncio
import hashlib
import json
import mmap
import resource
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Arguments:
    """One end's command line: `address` to listen on or to connect to, the file or the number of bytes to come."""

    role: str
    address: tuple[str, int]
    file: Path | None
    size_bytes: int
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds of this process, user and system."""

    user: float
    system: float

    def since(self, earlier: "Usage") -> dict[str, float]:
        return {"cpu_user": self.user - earlier.user, "cpu_sys": self.system - earlier.system}


def parse_arguments(argv: Sequence[str] | None = None) -> Arguments:
    """`server --listen HOST:PORT --file PATH` or `client --connect HOST:PORT --bytes N`; the rest are options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=("server", "client"))
    parser.add_argument("--listen", "--connect", dest="address", required=True)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--bytes", type=int, default=0)
    known, rest = parser.parse_known_args(argv)
    host, _, port = known.address.rpartition(":")
    return Arguments(known.role, (host, int(port)), known.file, known.bytes, tuple(rest))


def usage() -> Usage:
    """What this process has used so far (getrusage(2))."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return Usage(spent.ru_utime, spent.ru_stime)


def tell(message: dict[str, object]) -> None:
    """Print one line of JSON for the benchmark."""
    print(json.dumps(message), flush=True)


def mapped(file: Path | None) -> mmap.mmap:
    """The file to serve, mapped into memory."""
    assert file is not None
    with file.open("rb") as opened:
        return mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ)


async def serve_until_told(port: int) -> None:
    """Say that the server is ready on `port`, wait for SIGTERM, print the usage in between."""
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    before = usage()
    tell({"ready": True, "port": port})
    await told.wait()
    tell({**usage().since(before)})


class Fetch:
    """The client's memory and clock: `start`, then `write` each piece, then `finish`."""

    def __init__(self, size_bytes: int) -> None:
        self._memory = bytearray(size_bytes)
        self._memory[::PAGE_BYTES] = b"\1" * len(range(0, size_bytes, PAGE_BYTES))  # no page faults while it runs
        self._view = memoryview(self._memory)
        self.received_bytes = 0
        self.start()

    def start(self) -> None:
        """Start the clock and the CPU meter."""
        self._usage, self._started = usage(), time.perf_counter()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Store the next piece; ValueError if there are more bytes than expected."""
        stop = self.received_bytes + len(data)
        self._view[self.received_bytes : stop] = data
        self.received_bytes = stop

    @property
    def complete(self) -> bool:
        return self.received_bytes == len(self._memory)

    def finish(self) -> None:
        """Stop the clock and print what the benchmark wants to know."""
        seconds, spent = time.perf_counter() - self._started, usage().since(self._usage)
        digest = hashlib.sha256(self._view[: self.received_bytes]).hexdigest()
        tell({"seconds": seconds, **spent, "bytes": self.received_bytes, "sha256": digest})


def port_of(listening: socket.socket) -> int:
    """The port a socket is bound to."""
    port: int = listening.getsockname()[1]
    return port
