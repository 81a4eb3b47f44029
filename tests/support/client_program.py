"""A client for end-to-end tests, as a program: it fetches so much of the tape, and prints its figures as JSON."""

import argparse
import asyncio
import json
from collections.abc import Sequence
from hashlib import sha256

from tests.support.replica_program import PUBLIC
from trickles import ClientConfig, connect
from trickles.drivers.dialer import parse_address


async def fetch(arguments: argparse.Namespace) -> None:
    """One connection from its beginning to its end."""
    digest = sha256()
    replicas = [parse_address(text) for text in arguments.replica]
    async with await connect(replicas, config=ClientConfig(identity=PUBLIC)) as stream:
        stream.write(b"get %d\n" % arguments.size)
        stream.write_eof()
        while data := await stream.read(1 << 18):
            digest.update(data)
        print(json.dumps({**stream.statistics(), "sha256": digest.hexdigest()}), flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and fetch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replica", action="append", required=True)
    parser.add_argument("--size", type=int, required=True)
    asyncio.run(fetch(parser.parse_args(argv)))


if __name__ == "__main__":
    main()
