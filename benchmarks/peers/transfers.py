"""The kinds of transfer that `benchmarks.transfer` compares: a table, one row per kind.

**Plug**: the Trickles rows are skipped until `benchmarks/peers/trickles_stream.py` exists. It takes the same command
line as `tcp_stream.py` with `--suite sealed|open`, and keeps the contract of `contract.py`.
"""

from dataclasses import dataclass
from importlib.util import find_spec

from benchmarks.support import net
from benchmarks.support.processes import module


@dataclass(frozen=True, slots=True)
class Transfer:
    """A kind of transfer: the module of both ends, their options, and the packages that they need.

    `slow` kinds move fewer bytes. `paths` names the only paths it runs on (empty: all). `header_bytes` is what lies
    below the transport on each packet, Ethernet included.
    """

    name: str
    module: str
    options: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    slow: bool = False
    paths: tuple[str, ...] = ()
    header_bytes: int = net.ETHERNET_HEADER_BYTES + net.IPV4_HEADER_BYTES

    def missing(self) -> str | None:
        """Why it cannot run here, or None."""
        for name in (*self.needs, self.module):
            if find_spec(name) is None:
                return f"there is no module {name}"
        return None

    def server(self, address: str, file: object) -> list[str]:
        """Command line of the server, on a port of its choice."""
        return module(self.module, "server", "--listen", f"{address}:0", "--file", file, *self.options)

    def client(self, address: str, port: int, size_bytes: int) -> list[str]:
        """Command line of the client."""
        return module(self.module, "client", "--connect", f"{address}:{port}", "--bytes", size_bytes, *self.options)


DATAGRAM_HEADER_BYTES = net.ETHERNET_HEADER_BYTES + net.IPV4_HEADER_BYTES + net.UDP_HEADER_BYTES
TCP, QUIC = "asyncio TCP", "aioquic"
AIOQUIC = "benchmarks.peers.quic_stream"
TRICKLES = "benchmarks.peers.trickles_stream"

TRANSFERS = (
    Transfer(TCP, "benchmarks.peers.tcp_stream"),
    Transfer(QUIC, AIOQUIC, needs=(QUIC,), slow=True, header_bytes=DATAGRAM_HEADER_BYTES),
    Transfer(  # the largest datagrams with which it completed: from 32 kB on its first flight overran the socket
        "aioquic 16 kB", AIOQUIC, ("--datagram", "16000"), needs=(QUIC,), slow=True, paths=("loopback",)
    ),
    Transfer("trickles sealed", TRICKLES, ("--suite", "sealed"), header_bytes=DATAGRAM_HEADER_BYTES),
    Transfer("trickles open", TRICKLES, ("--suite", "open"), header_bytes=DATAGRAM_HEADER_BYTES),
)
