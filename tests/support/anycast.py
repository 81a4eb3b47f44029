"""One address of three machines: a client, a router that leads each flow or packet to one of them, and their replicas.

    client - router - h1
                   \\- h2
                   \\- h3

All are network namespaces (`namespaces`). Every host has ADDRESS on its loopback interface.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.namespaces import Machines, ip, machines, nft
from tests.support.processes import Program, ready

ADDRESS, PORT = "10.9.9.9", 4433
HOSTS = (1, 2, 3)
BY_ADDRESSES, BY_PORTS = 0, 1  # net.ipv4.fib_multipath_hash_policy: addresses only, and ports too
RATE = "400mbit"  # of the client's cable


class AnycastBed:
    """The machines and their replicas; host n is on network 1 + n, the client on network 1.

    Each host has a spool of its own in the folder `spools`, if there is one.
    """

    def __init__(self, net: Machines, undo: ExitStack, spools: Path | None = None) -> None:
        self.net = net
        self._undo = undo
        self._spools = spools
        self._replicas: dict[tuple[int, str], Program] = {}
        net.cable("client", "router", 1, mtu=1500)
        net.route("client", 9, via=1, number=2)
        net.set("router", "net.ipv4.ip_forward", 1)
        net.shape("router", 1, RATE)
        for host in HOSTS:
            net.cable("router", f"h{host}", 1 + host, mtu=1500)
            net.route(f"h{host}", 1, via=1 + host, number=1)
            net.route("client", 1 + host, via=1, number=2)
            net.answer_for(f"h{host}", ADDRESS)
            self.start(host)

    def start(self, host: int, address: str = ADDRESS) -> None:
        """Start that host's replica, at the address of all or its own one."""
        spool = () if self._spools is None else ("--spool", self._spools / f"h{host}")
        words = ("--host", address, "--port", PORT, *spool)
        program = Program("tests.support.replica_program", *words, namespace=self.net.name(f"h{host}"))
        self._replicas[host, address] = self._undo.enter_context(program)
        assert ready(program) == (address, PORT)

    def kill(self, host: int) -> None:
        """SIGKILL its replica: the kernel answers with ICMP from now on."""
        self._replicas[host, ADDRESS].kill()

    def cut(self, host: int) -> None:
        """Pull out the host's end of its cable: nothing answers, and the router keeps its route."""
        ip("-n", self.net.name(f"h{host}"), "link", "set", self.net.device(f"h{host}", 1 + host), "down")

    def restore(self, host: int) -> None:
        """Undo `kill` or `cut`."""
        if not self._replicas[host, ADDRESS].alive:
            self.start(host)
        ip("-n", self.net.name(f"h{host}"), "link", "set", self.net.device(f"h{host}", 1 + host), "up")
        ip("-n", self.net.name(f"h{host}"), "route", "replace", "10.9.1.0/24", "via", f"10.9.{1 + host}.1")

    def lead(self, hosts: Sequence[int] = HOSTS, policy: int = BY_PORTS) -> None:
        """Let the router spread flows over these hosts, by that hash."""
        hops = [word for host in hosts for word in ("nexthop", "via", f"10.9.{1 + host}.2")]
        self.net.set("router", "net.ipv4.fib_multipath_hash_policy", policy)
        ip("-n", self.net.name("router"), "route", "replace", f"{ADDRESS}/32", *hops)

    def spray(self) -> None:
        """Let each packet go to a random host: a mark by nftables chooses the table of routes."""
        chain = "type filter hook prerouting priority -150"
        mark = f"ip daddr {ADDRESS} meta mark set numgen random mod {len(HOSTS)} offset 1"
        nft(self.net.name("router"), f"table ip spray {{\nchain c {{\n{chain};\n{mark};\n}}\n}}")
        for host in HOSTS:
            ip("-n", self.net.name("router"), "rule", "add", "fwmark", host, "lookup", 100 + host)
            hop = ("via", f"10.9.{1 + host}.2", "table", 100 + host)
            ip("-n", self.net.name("router"), "route", "add", f"{ADDRESS}/32", *hop)

    def translate(self) -> None:
        """Let each host see the client at another address: the router's own on that host's cable."""
        chain = "type nat hook postrouting priority 100"
        nft(
            self.net.name("router"), f"table ip pool {{\nchain c {{\n{chain};\nip saddr 10.9.1.0/24 masquerade;\n}}\n}}"
        )

    def plain(self) -> None:
        """Undo `spray` and `translate`."""
        nft(self.net.name("router"), "flush ruleset")
        for host in HOSTS:
            ip("-n", self.net.name("router"), "rule", "del", "fwmark", host, ok=False)
            ip("-n", self.net.name("router"), "route", "flush", "table", 100 + host, ok=False)

    def arrived(self) -> dict[int, int]:
        """UDP datagrams that came to each host so far."""
        return {host: self.net.counters(f"h{host}")["Udp.InDatagrams"] for host in HOSTS}

    def busiest(self, before: dict[int, int]) -> int:
        """Return the host that got most since."""
        now = self.arrived()
        return max(HOSTS, key=lambda host: now[host] - before[host])

    def client(self, size_bytes: int, *words: object, replicas: Sequence[str] = (f"{ADDRESS}:{PORT}",)) -> Program:
        """Return a client that fetches so much; with `--mark` it prints a line on the way, and `--uploads` sends."""
        named = [word for replica in replicas for word in ("--replica", replica)]
        words = (*named, "--size", size_bytes, *words)
        return Program("tests.support.client_program", *words, namespace=self.net.name("client"))


@contextmanager
def anycast(spools: Path | None = None) -> Iterator[AnycastBed]:
    """The machines for a while."""
    with machines() as net, ExitStack() as undo:
        yield AnycastBed(net, undo, spools)
