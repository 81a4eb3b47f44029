"""The examples in deploy/, by the programs that read them: systemd, and BIRD between two machines."""

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.namespaces import Machines, ip, machines
from tests.support.processes import ROOT
from tests.support.system import require

pytestmark = pytest.mark.e2e

DEPLOY = ROOT / "deploy"
BIRD = (DEPLOY / "bird" / "bird.conf").read_text()
PATIENCE = 30.0
SERVICE = "10.9.9.9"


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    analyze = require("systemd-analyze")
    for path in (DEPLOY / "systemd").iterdir():
        text = re.sub(r"(?<==)(?:/opt/trickles/bin|/usr/local/sbin)/\S+", "/bin/true", path.read_text())
        (tmp_path / path.name).write_text(text)  # programs that are installed elsewhere
    units = sorted(map(str, tmp_path.iterdir()))
    done = subprocess.run([analyze, "verify", *units], capture_output=True, text=True, check=False, timeout=60)
    told = [line for line in done.stderr.splitlines() if "trickles-" in line]
    assert (done.returncode, told) == (0, [])


def test_bird_takes_its_configuration() -> None:
    command = [require("bird"), "-p", "-c", str(DEPLOY / "bird" / "bird.conf")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


ROUTER = """
router id 10.9.1.1;
protocol device { }
protocol bfd { interface "*" { interval 100 ms; multiplier 3; }; }
protocol bgp host {
  local as 65000; neighbor 10.9.1.2 as 65010; bfd on; connect retry time 1;
  ipv4 { import all; export none; };
}
"""


class Routing:
    """A router and a host of the service, each with its BIRD."""

    def __init__(self, net: Machines, folder: Path, undo: ExitStack) -> None:
        self._net, self._folder, self._undo = net, folder, undo
        net.cable("router", "host", 1, mtu=1500)
        self._run("router", ROUTER)
        own = {"SERVICE": f"{SERVICE}/32", "UPLINK": "10.9.1.1"}
        text = BIRD.replace("router id 198.51.100.10", "router id 10.9.1.2").replace("retry time 5", "retry time 1")
        for name, value in own.items():
            text = re.sub(rf"define {name} = \S+;", f"define {name} = {value};", text)
        self.host = self._run("host", text)

    def _run(self, machine: str, configuration: str) -> subprocess.Popen[bytes]:
        place = self._folder / f"{machine}.conf"
        place.write_text(configuration)
        words = [require("ip"), "netns", "exec", self._net.name(machine), require("bird"), "-f", "-c", str(place)]
        process = subprocess.Popen([*words, "-s", str(self._folder / machine)])
        self._undo.callback(process.wait)
        self._undo.callback(process.kill)
        return process

    def leads(self) -> bool:
        """Whether the router has a route to the service."""
        words = [require("birdc"), "-s", str(self._folder / "router"), "show", "route"]
        return f"{SERVICE}/32" in subprocess.run(words, capture_output=True, text=True, check=False).stdout

    def address(self, action: str) -> None:
        ip("-n", self._net.name("host"), "address", action, f"{SERVICE}/32", "dev", "lo")


@contextmanager
def routing(folder: Path) -> Iterator[Routing]:
    require("bird")
    with machines() as net, ExitStack() as undo:
        yield Routing(net, folder, undo)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


@pytest.mark.slow
def test_the_route_follows_the_address_and_ends_with_the_machine(tmp_path: Path) -> None:
    with routing(tmp_path) as it:
        it.address("add")
        until(it.leads)
        it.address("del")
        until(lambda: not it.leads())
        it.address("add")
        until(it.leads)
        it.host.send_signal(19)  # SIGSTOP: silent, as a machine without power is; BGP alone would take 240 s
        until(lambda: not it.leads())
