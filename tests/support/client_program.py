"""A client for end-to-end tests, as a program: it fetches so much of the tape, and prints its figures as JSON.

With `--uploads N` it sends so much instead, N times, and prints `begun` and the digest that comes back, or `refused`.
"""

import argparse
import asyncio
import json
from collections.abc import Sequence
from hashlib import sha256

from tests.support.replica_program import PUBLIC, tape
from trickles import ClientConfig, Policy, connect
from trickles.drivers.dialer import parse_address
from trickles.drivers.world import monotonic_us
from trickles.errors import TricklesError


async def upload(arguments: argparse.Namespace) -> None:
    """Send the tape to a service that answers with its digest, on one connection after the other."""
    replicas, data = [parse_address(text) for text in arguments.replica], tape(0, arguments.size)
    for _ in range(arguments.uploads):
        try:
            async with await connect(replicas, config=ClientConfig(identity=PUBLIC)) as stream:
                stream.write(b"sum %d\n" % arguments.size)
                print("begun", flush=True)
                for at in range(0, len(data), 1 << 18):
                    stream.write(data[at : at + (1 << 18)])
                    await stream.drain()
                stream.write_eof()
                print((await stream.read()).decode().strip(), flush=True)
        except TricklesError as error:
            print("refused:", error, flush=True)


async def fetch(arguments: argparse.Namespace) -> None:
    """One connection from its beginning to its end; it prints a line after `--mark` bytes, and at its end."""
    digest, size, silence_us, begun = sha256(), 0, 0, monotonic_us()
    replicas = [parse_address(text) for text in arguments.replica]
    config = ClientConfig(identity=PUBLIC, policy=Policy(arguments.policy))
    async with await connect(replicas, config=config) as stream:
        stream.write(b"get %d\n" % arguments.size)
        stream.write_eof()
        last = monotonic_us()
        while data := await stream.read(1 << 18):
            digest.update(data)
            now, before, size = monotonic_us(), size, size + len(data)
            silence_us, last = max(silence_us, now - last), now
            if before < arguments.mark <= size:
                print("at the mark", flush=True)
        own = {"silence_us": silence_us, "took_us": last - begun, "sha256": digest.hexdigest()}
        print(json.dumps({**stream.statistics(), **own}), flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and fetch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replica", action="append", required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--mark", type=int, default=0)
    parser.add_argument("--policy", default="home")
    parser.add_argument("--uploads", type=int, default=0)
    arguments = parser.parse_args(argv)
    asyncio.run(upload(arguments) if arguments.uploads else fetch(arguments))


if __name__ == "__main__":
    main()
