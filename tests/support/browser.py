"""Headless Chromium under the DevTools protocol, by its pipe: commands and events are JSON, each ended by a NUL.

https://chromedevtools.github.io/devtools-protocol/
"""

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.processes import PATIENCE_SECONDS

Message = dict[str, Any]
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--mute-audio",
    "--autoplay-policy=no-user-gesture-required", "--window-size=1000,900", "--remote-debugging-pipe",
)  # fmt: skip
_READ_BYTES = 1 << 16


class Browser:
    """One page; `events` are those that have come, in order."""

    def __init__(self, commands: int, messages: int) -> None:
        self.events: list[Message] = []
        self._commands = commands
        self._messages = messages
        self._pending = b""
        self._number = 0
        self._session: dict[str, str] = {}
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> Message:
        """The result of a command; events that come meanwhile are kept."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters, **self._session}
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        while (message := self._next()).get("id") != self._number:
            self.events.append(message)
        assert "error" not in message, message
        result: Message = message["result"]
        return result

    def wait(self, wanted: Callable[[Message], object]) -> Message:
        """The first event, past or to come, that is wanted."""
        for event in self.events:
            if wanted(event):
                return event
        while True:
            self.events.append(message := self._next())
            if wanted(message):
                return message

    def visit(self, url: str) -> None:
        """Go to a page, and return when all of it is loaded."""
        self.events.clear()
        self.call("Page.navigate", url=url)
        self.wait(lambda event: event["method"] == "Page.loadEventFired")

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page; of a promise, what it resolves to."""
        told = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def seen(self, method: str) -> list[Message]:
        """The parameters of all events of that name that have come."""
        return [event["params"] for event in self.events if event["method"] == method]

    def _next(self) -> Message:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while b"\0" not in self._pending:
            ready, _, _ = select.select([self._messages], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(self._messages, _READ_BYTES) if ready else b""
            if not data:
                raise AssertionError(f"the browser {'ended' if ready else 'is silent'}")
            self._pending += data
        first, _, self._pending = self._pending.partition(b"\0")
        message: Message = json.loads(first)
        return message


@contextmanager
def browser(program: str, folder: Path) -> Iterator[Browser]:
    """Start Chromium with a profile of its own in `folder`; it and all that it started is ended with the block."""
    pipes = folder / "commands", folder / "messages"
    for pipe in pipes:
        os.mkfifo(pipe)
    words = [program, *_FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["sh", "-c", f'exec "$0" "$@" 3<"{pipes[0]}" 4>"{pipes[1]}"', *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "HOME": str(folder)},
            start_new_session=True,
        )
    commands, messages = os.open(pipes[0], os.O_WRONLY), os.open(pipes[1], os.O_RDONLY)
    try:
        yield Browser(commands, messages)
    finally:
        os.close(commands)
        os.close(messages)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
