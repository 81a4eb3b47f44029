"""Replicas as on several machines: a folder each, stores in common, and a gateway that goes from one to the next."""

import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.support.processes import PATIENCE_SECONDS, GatewayProgram, Program
from trickles.drivers.dialer import parse_address
from trickles.drivers.keystore import init_keystore


class TwoMachines:
    """Two replicas of a program, with `words` for its stores, in which `{}` is the number of the replica."""

    def __init__(
        self, folder: Path, undo: ExitStack, app: str, words: Sequence[str], *, policy: str = "spray", give_up: int = 10
    ) -> None:
        self._folder, self._app, self._words = folder, app, words
        init_keystore(folder / "keys")
        self.places = [("127.0.0.1", 0)] * 2
        self.replicas = [self._replica(index) for index in range(2)]
        undo.callback(self._close)
        self.places = [self.ready(index) for index in range(2)]
        options = ("--policy", policy, "--server-key", folder / "keys" / "server.pub", "--give-up", give_up)
        self.gateway = undo.enter_context(GatewayProgram(self.places, *options))

    @property
    def url(self) -> str:
        """Where the gateway is."""
        host, port = self.gateway.address
        return f"http://{host}:{port}"

    def ready(self, index: int) -> tuple[str, int]:
        """Wait until a replica is; where it is."""
        return parse_address(self.replicas[index].output.next().removeprefix("replica on "))

    def kill(self, index: int) -> None:
        """SIGKILL to a replica."""
        self.replicas[index].close()

    def restart(self, index: int) -> None:
        """SIGKILL, and another one at its address."""
        self.kill(index)
        self.replicas[index] = self._replica(index)
        self.ready(index)

    def curl(self, path: str, *words: object, body: bytes | None = None) -> "subprocess.Popen[bytes]":
        """Start curl; its output is the response, and the status after it."""
        send = ("-T", "-") if body is not None else ()
        call = ["curl", "-sS", "--max-time", str(2 * PATIENCE_SECONDS), "-H", "Expect:", "-w", " [%{http_code}]", *send]
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen([*call, *map(str, words), self.url + path], **streams)  # type: ignore[call-overload, no-any-return]

    def _close(self) -> None:
        for replica in self.replicas:
            replica.close()

    def _replica(self, index: int) -> Program:
        words = [each.format(index) for each in self._words]
        where = ("--udp", "{}:{}".format(*self.places[index]), "--keyring", self._folder / "keys")
        return Program("trickleweb", "replica", "--app", self._app, *where, *words)
