"""Machines of a test's own: network namespaces with cables between them, made as root and removed in the end."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.support.system import require


def ip(*words: object, ok: bool = True) -> str:
    """Run ip(8); its output. Without `ok` it may fail."""
    done = subprocess.run([require("ip"), *map(str, words)], check=False, capture_output=True, text=True, timeout=30)
    assert not ok or done.returncode == 0, f"ip {' '.join(map(str, words))}: {done.stderr}"
    return done.stdout


def nft(namespace: str, rules: str) -> None:
    """Add these rules of nftables there."""
    words = [require("ip"), "netns", "exec", namespace, require("nft"), "--file", "-"]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=30, input=rules)
    assert done.returncode == 0, f"nft {rules}: {done.stderr}"


class Machines:
    """Namespaces by short names, cables between two of them."""

    def __init__(self) -> None:
        self._prefix = f"tt{os.getpid()}"
        self._names: list[str] = []
        self._cables = 0
        self._devices: dict[tuple[str, int], str] = {}

    def name(self, machine: str) -> str:
        """The namespace of that machine, made when it is first named."""
        full = f"{self._prefix}{machine}"
        if machine not in self._names:
            ip("netns", "add", full)
            self._names.append(machine)
            ip("-n", full, "link", "set", "lo", "up")
            self.set(machine, "net.ipv6.conf.default.accept_dad", 0)  # addresses are good at once
        return full

    def cable(self, left: str, right: str, network: int, *, mtu: int) -> None:
        """Connect two machines; they get 10.9.NETWORK.1 and .2, and fd09:NETWORK::1 and ::2."""
        self._cables += 1
        ends = [(self.name(machine), f"c{self._cables}", number) for number, machine in enumerate((left, right), 1)]
        (left_name, device, _), (right_name, _, _) = ends
        self._devices |= dict.fromkeys([(left, network), (right, network)], device)
        ip("-n", left_name, "link", "add", device, "type", "veth", "peer", "name", device, "netns", right_name)
        for full, device, number in ends:
            ip("-n", full, "address", "add", f"10.9.{network}.{number}/24", "dev", device)
            ip("-n", full, "-6", "address", "add", f"fd09:{network}::{number}/64", "dev", device, "nodad")
            ip("-n", full, "link", "set", device, "mtu", mtu, "up")

    def device(self, machine: str, network: int) -> str:
        """The machine's end of its cable of that network."""
        return self._devices[machine, network]

    def shape(self, machine: str, network: int, rate: str) -> None:
        """Bound the rate at which that machine sends there, with a queue of 20 ms."""
        bucket = ("root", "tbf", "rate", rate, "burst", "256kb", "latency", "20ms")
        words = ["netns", "exec", self.name(machine), require("tc"), "qdisc", "add", "dev"]
        ip(*words, self.device(machine, network), *bucket)

    def route(self, machine: str, network: int, via: int, number: int) -> None:
        """Send what is for NETWORK through the neighbour with that number on the network `via`."""
        full = self.name(machine)
        ip("-n", full, "route", "add", f"10.9.{network}.0/24", "via", f"10.9.{via}.{number}")
        ip("-n", full, "-6", "route", "add", f"fd09:{network}::/64", "via", f"fd09:{via}::{number}")

    def answer_for(self, machine: str, host: str) -> None:
        """Give that machine one more address, of which others know only what is routed."""
        ip("-n", self.name(machine), "address", "add", f"{host}/32", "dev", "lo")

    def lead(self, machine: str, host: str, via: int, number: int) -> None:
        """Send what is for that one address, from now on, through the neighbour of that number on the network `via`."""
        ip("-n", self.name(machine), "route", "replace", f"{host}/32", "via", f"10.9.{via}.{number}")

    def set(self, machine: str, key: str, value: int) -> None:
        """A setting of the kernel for that machine."""
        path = f"/proc/sys/{key.replace('.', '/')}"
        ip("netns", "exec", self.name(machine), "sh", "-c", f"echo {value} > {path}")

    def counters(self, machine: str) -> dict[str, int]:
        """The machine's counters of IP, of both versions: `Ip.FragCreates`, `Ip6.FragCreates` and many more."""
        text = ip("netns", "exec", self.name(machine), "cat", "/proc/net/snmp", "/proc/net/snmp6")
        counted, heads = dict[str, int](), dict[str, list[str]]()
        for line in text.splitlines():
            title, colon, rest = line.partition(": ")
            if not colon:
                key, value = line.split()
                counted[key.replace("Ip6", "Ip6.", 1)] = int(value)
            elif title in heads:
                counted |= {f"{title}.{key}": int(value) for key, value in zip(heads[title], rest.split(), strict=True)}
            else:
                heads[title] = rest.split()
        return counted

    def remove(self) -> None:
        """Remove them all, with what runs on their cables."""
        for machine in self._names:
            ip("netns", "del", f"{self._prefix}{machine}")


@contextmanager
def machines() -> Iterator[Machines]:
    """Machines for one test; it is skipped where they cannot be made."""
    require("ip")
    if os.geteuid() != 0:
        pytest.skip("needs root to make network namespaces")
    with ExitStack() as undo:
        made = Machines()
        undo.callback(made.remove)
        try:
            made.name("client")
        except AssertionError as error:
            pytest.skip(f"cannot make network namespaces: {error}")
        yield made
