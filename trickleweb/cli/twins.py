"""Find programs that keep state of their clients in memory, by asking several instances of them.

One instance answers a session of requests alone: each path three times, with the cookies that it set. Two more answer
the same session in turn, as replicas do. Where their answers differ, a fourth alone separates chance from state: if it
answers as the first did, the program remembers something that only one instance has: a session, a counter, a queue, a
key that it made when it started.

All instances are loaded separately, in processes of their own. They share files, databases and the fleet's keys. Bodies
are compared if they are equal for two instances alone, else statuses and the names of cookies.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import time
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass
from typing import Any

from trickles.command import CommandFailed
from trickles.drivers.keystore import ephemeral_keyring, keyring_text
from trickleweb.cli.app_options import ProgramOptions
from trickleweb.cli.warmstart import python_module
from trickleweb.testing.cookies import CookieJar

ROUNDS = 3
_START_S = 60.0
_LINE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Observed:
    """One answer: status (0 for none within the bounds), the names of cookies it set, and the body's hash."""

    status: int
    cookies: tuple[str, ...]
    body: str

    @property
    def coarse(self) -> Observed:
        return Observed(self.status, self.cookies, "")


@dataclass(frozen=True, slots=True)
class Session:
    """The requests: paths, header lines, and the bounds of all and of one response."""

    paths: Sequence[str]
    headers: Sequence[str]
    seconds: float
    most_bytes: int


class Instance:
    """A process with the program; `ask` raises `CommandFailed` if it ends."""

    def __init__(
        self, process: subprocess.Popen[bytes], answers: asyncio.StreamReader, questions: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._answers = answers
        self._questions = questions

    @classmethod
    async def started(cls, options: ProgramOptions, environment: dict[str, str]) -> Instance:
        """Start a process and the program in it; raise `CommandFailed` if either does not."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = subprocess.Popen(  # noqa: ASYNC220 - it returns once the process is executed
                    python_module("trickleweb.cli.twin", str(theirs.fileno())), env=environment,
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                )  # fmt: skip
        except OSError as error:
            ours.close()
            raise CommandFailed(f"an instance of the program did not start: {error.strerror}") from None
        instance = cls(process, *await asyncio.open_connection(sock=ours, limit=_LINE_BYTES))
        try:
            first = await instance._asked(asdict(options), _START_S)
            if "error" in first:
                raise CommandFailed(first["error"])
        except BaseException:
            await instance.end()
            raise
        return instance

    async def ask(self, path: str, headers: Sequence[tuple[str, str]], session: Session) -> tuple[Observed, list[str]]:
        """Return the answer, and its Set-Cookie fields."""
        seconds = session.seconds / 10
        request = {"path": path, "headers": headers, "seconds": seconds, "most_bytes": session.most_bytes}
        answer = await self._asked(request, 2 * seconds + 5)
        if "status" not in answer:
            return Observed(0, (), ""), []
        cookies = answer["cookies"]
        names = tuple(sorted(each.partition("=")[0].strip() for each in cookies))
        return Observed(answer["status"], names, answer["body"]), cookies

    async def end(self) -> None:
        self._questions.close()
        self._process.kill()
        self._process.wait()  # at once: it is killed

    async def _asked(self, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        with suppress(OSError, TimeoutError, ValueError):
            async with asyncio.timeout(seconds):
                self._questions.write(json.dumps(message).encode() + b"\n")
                await self._questions.drain()
                answer = json.loads(await self._answers.readline())
                if isinstance(answer, dict):
                    return answer
        raise CommandFailed("an instance of the program ended or did not answer")


async def remembered(options: ProgramOptions, session: Session) -> dict[str, str]:
    """Return the paths whose answers depend on an instance's memory, each with what differed.

    `CommandFailed` if a further instance of the program does not start or answer.
    """
    environment = {**os.environ, "TRICKLES_KEYRING": keyring_text(ephemeral_keyring())}
    async with AsyncExitStack() as undo:

        async def instance() -> Instance:
            started = await Instance.started(options, environment)
            undo.push_async_callback(started.end)
            return started

        first, second, third = await _all_of(instance(), instance(), instance())
        alone, both = await _answers([first], session), await _answers([second, third], session)
        if both == alone:
            return {}
        again = await _answers([await instance()], session)
        return _differences(session, alone, again, both)


async def _all_of(*starts: Coroutine[Any, Any, Instance]) -> list[Instance]:
    """Return what has started; raise the first error when all have started or failed, so that none goes on unknown."""
    done = await asyncio.gather(*starts, return_exceptions=True)
    for each in done:
        if isinstance(each, BaseException):
            raise each
    return [each for each in done if isinstance(each, Instance)]


async def _answers(instances: Sequence[Instance], session: Session) -> list[Observed | None]:
    """Return the answers to the session's requests, by the instances in turn; None for those after its time."""
    until = time.monotonic() + session.seconds
    jar, answers, endless = CookieJar(), list[Observed | None](), set[str]()
    given = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in session.headers)]
    for turn in range(ROUNDS):
        for number, path in enumerate(session.paths):
            if time.monotonic() > until or path in endless:
                answers.append(None)
                continue
            own = jar.header(path.partition("?")[0], https=True)
            cookie = "; ".join(filter(None, (*(value for name, value in given if name.lower() == "cookie"), own)))
            headers = [each for each in given if each[0].lower() != "cookie"] + [("Cookie", cookie)] * bool(cookie)
            found, cookies = await instances[(turn + number) % len(instances)].ask(path, headers, session)
            for each in cookies:
                jar.learn(each)
            answers.append(found)
            if not found.status:
                endless.add(path)
    return answers


def _differences(
    session: Session,
    alone: Sequence[Observed | None],
    again: Sequence[Observed | None],
    both: Sequence[Observed | None],
) -> dict[str, str]:
    count, found = len(session.paths), dict[str, str]()
    for number, path in enumerate(session.paths):
        for one, control, other in zip(alone[number::count], again[number::count], both[number::count], strict=True):
            if one is None or control is None or other is None or not (one.status and control.status and other.status):
                break
            if one.coarse != control.coarse:
                break  # by chance, or for a reason outside
            if one.coarse != other.coarse:
                found[path] = _difference(one, other)
                break
            if one == control != other:
                found[path] = "another body"
                break
    return found


def _difference(one: Observed, other: Observed) -> str:
    if one.status != other.status:
        return f"status {other.status} instead of {one.status}"
    fresh = set(other.cookies) - set(one.cookies)
    return f"a new cookie {', '.join(sorted(fresh))}" if fresh else "other cookies"
