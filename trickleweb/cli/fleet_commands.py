"""What a fleet consists of, as a value, and the command lines of its processes."""

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
    """What to start; `listen` is None for no gateway, the words are for the command lines of the processes.

    `command` and `what` are for people to read; `words` are those of the replica of an index, about what it serves.
    `modules` are what processes need besides their commands' own, to be imported ahead.
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
    modules: tuple[str, ...] = ()
    reloader: Reloader | None = None


class FleetCommands:
    """The commands of a fleet, and where its processes are: known for good once they have said it."""

    def __init__(self, options: FleetOptions, run_dir: RunDir) -> None:
        self._options = options
        self._run_dir = run_dir
        self.places = [self._place(index) for index in range(options.replicas)]
        self.listen = options.listen

    @property
    def keyring(self) -> str:
        """Where the keys are."""
        return self._options.keyring or str(self._run_dir.keys)

    @property
    def modules(self) -> tuple[str, ...]:
        """What its processes import."""
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
        """Start the gateway; it is told where to listen, even if that is everywhere."""
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
        """Where programs of this machine reach the gateway."""
        if self.listen is None:
            return None
        host, port = self.listen
        return f"{self._options.scheme}://{shown((_ANY_HOST.get(host, host), port))}/"

    def announcement(self) -> str:
        """What is served where, in one line."""
        count, url = self._options.replicas, self.url()
        replicas = f"{count} replica{'s' if count > 1 else ''}"
        udp = ", ".join(dict.fromkeys(shown(place) for place in self.places))
        what = f"{url} serves {self._options.what}" if url else f"{self._options.what} is served"
        return f"{what} through {replicas} (UDP {udp})"

    def _place(self, index: int) -> Address:
        host, port = self._options.udp
        return host, port if self._options.reuse_port or port == 0 else port + index


def told_place(line: str) -> Address:
    """The address at the end of a line such as `replica on 127.0.0.1:8443`."""
    try:
        return address(line.rpartition(" ")[2])
    except argparse.ArgumentTypeError:
        raise CommandFailed(f"a replica said what it should not: {line}") from None


def told_port(line: str) -> int:
    """The first port in a line such as `gateway on 127.0.0.1:8080 for 3 replicas`."""
    port = line.partition(" for ")[0].partition(",")[0].rpartition(":")[2]
    if not port.isdecimal():
        raise CommandFailed(f"the gateway said what it should not: {line}")
    return int(port)
