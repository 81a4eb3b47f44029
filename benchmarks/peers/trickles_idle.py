"""An opener of native connections, with no gateway between: see `idle_tcp.py` for the contract of openers.

`--server-key FILE` names the fleet's identity. Each connection makes its request, takes the answer and stays idle.
"""

import argparse
import signal
from pathlib import Path

from benchmarks.peers.contract import tell
from benchmarks.support.native_client import Native, NativeConnection


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connect", required=True, help="HOST:PORT of a replica on loopback")
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--request", default="small.txt")
    parser.add_argument("--server-key", type=Path, required=True)
    return parser.parse_args()


def opened(native: Native, path: str) -> NativeConnection:
    """A connection that has had its answer; ValueError if it is not a good one."""
    connection = native.connect()
    head, _ = connection.get(path)
    if not head.startswith(b"HTTP/1.1 200 "):
        raise ValueError(f"a wrong answer: {head[:60]!r}")
    return connection


def main() -> None:
    arguments = parse_arguments()
    host, _, port = arguments.connect.rpartition(":")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    with Native([(host, int(port))], arguments.server_key) as native:
        held = [opened(native, arguments.request) for _ in range(arguments.connections)]
        tell({"ready": True, "connections": len(held)})
        signal.sigwait({signal.SIGTERM})


if __name__ == "__main__":
    main()
