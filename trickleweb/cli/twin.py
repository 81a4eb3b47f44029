"""One instance of a program in a process of its own, for `twins`: it answers a line of JSON from a socket with another.

The socket's descriptor is the process's argument. The first line has the program's options; its answer is empty, or has
the error of the start.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import sys
from typing import IO, Any

from trickles.command import CommandFailed
from trickles.drivers.keystore import load_keyring
from trickles.printable import one_line
from trickleweb.application import Application
from trickleweb.cli.app_options import ProgramOptions
from trickleweb.cli.loading import load_program
from trickleweb.testing.asynchronous import AsyncClient
from trickleweb.testing.collecting import IncompleteResponse
from trickleweb.testing.killing import STILL_US


def main() -> None:
    """Answer until the other end closes the socket."""
    line = socket.socket(fileno=int(sys.argv[1]))
    line.set_inheritable(False)
    lines, answers = line.makefile("rb"), line.makefile("w", encoding="utf-8")
    first = json.loads(lines.readline())
    try:
        application = load_program(ProgramOptions(**{**first, "repeat": tuple(first["repeat"])}))
        asyncio.run(_serve(application, lines, answers))
    except CommandFailed as error:
        _say(answers, {"error": str(error)})


def _say(answers: IO[str], answer: dict[str, Any]) -> None:
    print(json.dumps(answer), file=answers, flush=True)


async def _serve(application: Application, lines: IO[bytes], answers: IO[str]) -> None:
    ring = load_keyring()
    client = AsyncClient(
        application,
        base_url="http://localhost",
        now=lambda: STILL_US,
        keyring=lambda: ring,
        raise_server_exceptions=False,
    )
    try:
        await application.startup()
    except Exception as error:  # noqa: BLE001 - a program may raise anything
        _say(answers, {"error": one_line(f"the program did not start: {type(error).__name__}: {error}")})
        return
    _say(answers, {})
    while line := await asyncio.to_thread(lines.readline):
        _say(answers, await _answer(client, json.loads(line)))
    await application.shutdown()


async def _answer(client: AsyncClient, request: dict[str, Any]) -> dict[str, Any]:
    """Return status, Set-Cookie fields and the body's hash; empty for a response that does not end in its bounds."""
    most = request["most_bytes"]
    try:
        async with asyncio.timeout(request["seconds"]):
            answer = await client.get(request["path"], headers=request["headers"], most_bytes=most)
    except (TimeoutError, IncompleteResponse):
        return {}
    if len(answer.content) >= most:
        return {}
    cookies = answer.headers.get_list("set-cookie")
    return {"status": answer.status_code, "cookies": cookies, "body": hashlib.sha256(answer.content).hexdigest()}


if __name__ == "__main__":
    main()
