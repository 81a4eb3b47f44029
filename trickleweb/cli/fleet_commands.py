"""The parts of a fleet as a value, and the command lines of its processes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trickles.command import CommandFailed, address
from trickles.drivers.addresses import Address, shown
from trickleweb.cli.reload import Reloader
from trickleweb.cli.rundir import GATEWAY, RunDir, replica_name
from trickleweb.cli.warmstart import ForkedCommand

_ANY_HOST = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOptions:
    """Options of a fleet; `listen` is None for no gateway, the words are arguments of the processes.

    `command` and `what` are for display; `words` gives the arguments of a replica by index, about the program or folder
    it serves. Replicas end up to `drain` seconds after SIGTERM. `modules` are imported ahead for the processes, besides
    their commands' own; MODULE@DIR is a program.
    """

    command: str
    what: str
    words: Callable[[int], Sequence[str]]
    replicas: int
    listen: Address | None
    udp: Address
    run_dir: Path
    spool: Path
    keyring: str | None
    replica_words: tuple[str, ...]
    gateway_words: tuple[str, ...]
    scheme: str
    reuse_port: bool
    respawn: bool
    drain: float = 0.0
    modules: tuple[str, ...] = ()
    reloader: Reloader | None = None


class FleetCommands:
    """The command lines of a fleet, and the addresses of its processes, fixed once they have reported them."""

    def __init__(self, options: FleetOptions, run_dir: RunDir) -> None:
        self._options = options
        self._run_dir = run_dir
        self.places = [self._place(index) for index in range(options.replicas)]
        self.listen = options.listen

    @property
    def keyring(self) -> str:
        return self._options.keyring or str(self._run_dir.keys)

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that its processes import."""
        gateway = ("trickles.cli.gateway",) if self.listen is not None else ()
        return ("trickleweb.cli.replica", *gateway, *self._options.modules)

    def replica(self, index: int) -> ForkedCommand:
        name, options = replica_name(index), self._options
        shared = ["--reuse-port"] if options.reuse_port else []
        files = ["--status-file", str(self._run_dir.status_file(name))]
        where = ["--udp", shown(self.places[index]), "--keyring", self.keyring]
        words = ("replica", *where, *shared, *files, *options.replica_words, *options.words(index))
        return ForkedCommand("trickleweb", words, name)

    def gateway(self) -> ForkedCommand:
        """Return the gateway's command; it gets an explicit host to listen on, even if that is all."""
        assert self.listen is not None
        places = dict.fromkeys((_ANY_HOST.get(host, host), port) for host, port in self.places)
        replicas = [word for place in places for word in ("--replica", shown(place))]
        files = ["--server-key", str(self._run_dir.server_key), "--status-file"]
        files += [str(self._run_dir.status_file(GATEWAY)), "--pid-file", str(self._run_dir.pid_file(GATEWAY))]
        files += ["--control", str(self._run_dir.control_socket(GATEWAY))]
        host, port = self.listen
        where = ["--listen", shown((host or "0.0.0.0", port)), "--end-with", str(os.getpid())]
        words = ("gateway", *where, *replicas, *files, *self._options.gateway_words)
        return ForkedCommand("trickles", words, GATEWAY)

    def url(self) -> str | None:
        """Return the gateway's URL on this machine."""
        if self.listen is None:
            return None
        host, port = self.listen
        return f"{self._options.scheme}://{shown((_ANY_HOST.get(host, host), port))}/"

    def announcement(self) -> str:
        """Return the line about what is served where."""
        count, url = self._options.replicas, self.url()
        replicas = f"{count} replica{'s' if count > 1 else ''}"
        udp = ", ".join(dict.fromkeys(shown(place) for place in self.places))
        what = f"{url} serves {self._options.what}" if url else f"{self._options.what} is served"
        return f"{what} through {replicas} (UDP {udp})"

    def _place(self, index: int) -> Address:
        host, port = self._options.udp
        return host, port if self._options.reuse_port or port == 0 else port + index


def listening_address(line: str) -> Address:
    """Return the address at the end of a line such as `replica on 127.0.0.1:8443`."""
    try:
        return address(line.rpartition(" ")[2])
    except argparse.ArgumentTypeError:
        raise CommandFailed(f"unexpected first line of a replica: {line}") from None


def listening_port(line: str) -> int:
    """Return the first port in a line such as `gateway on 127.0.0.1:8080 for 3 replicas`."""
    port = line.partition(" for ")[0].partition(",")[0].rpartition(":")[2]
    if not port.isdecimal():
        raise CommandFailed(f"unexpected first line of the gateway: {line}")
    return int(port)
