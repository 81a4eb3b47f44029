"""An opener: opens idle TCP connections, says how many, and holds them until SIGTERM.

The contract of openers: `--connect HOST:PORT --connections N`, then one line `{"ready": true, "connections": N}`, then
silence until SIGTERM. With `--request PATH` each connection makes one HTTP request first, so that the server has seen
it; those that the server has closed meanwhile do not count. Connections come from several loopback addresses: one
address has about 28,000 ports.
"""

import argparse
import signal

from benchmarks.peers.contract import tell
from benchmarks.support.http_client import Connection
from benchmarks.support.limits import raise_file_limit

CONNECTIONS_PER_ADDRESS = 20_000


def source(index: int) -> str:
    """The loopback address that connection number `index` comes from."""
    return f"127.0.0.{2 + index // CONNECTIONS_PER_ADDRESS}"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connect", required=True, help="HOST:PORT on loopback")
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--request")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    port, held = int(arguments.connect.rpartition(":")[2]), list[Connection]()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    for index in range(min(arguments.connections, raise_file_limit())):
        connection = Connection(port, source(index))
        if arguments.request:
            connection.get(arguments.request)
        held.append(connection)
    tell({"ready": True, "connections": sum(connection.alive() for connection in held)})
    signal.sigwait({signal.SIGTERM})


if __name__ == "__main__":
    main()
