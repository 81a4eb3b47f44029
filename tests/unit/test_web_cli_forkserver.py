"""Processes that are forked instead of started: children like all others, and whatever is wrong with their parent."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.loop import on_loop
from trickleweb.cli import warmstart
from trickleweb.cli.forkserver import GO, READY, stamps
from trickleweb.cli.launch import Process, launched, reaped
from trickleweb.cli.tied import IS_LINUX, adopt_orphans
from trickleweb.cli.warmstart import ForkedCommand, WarmStart

pytestmark = pytest.mark.skipif(not IS_LINUX, reason="needs prctl(2)")

VERSION = ForkedCommand("trickleweb", ("--version",), "asked")
MISUSE = ForkedCommand("trickles", ("keys", "show", "/nowhere"), "misused")


@pytest.fixture(autouse=True)
def _patiently(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warmstart, "ANSWER_SECONDS", 5.0)
    monkeypatch.setattr(warmstart, "PATIENCE_SECONDS", 60.0)


async def said(process: Process) -> tuple[str, str, int]:
    output, errors = await asyncio.gather(process.output.read(), process.errors.read())
    code = await process.wait()
    process.close()
    return output.decode(), errors.decode(), code


def cold(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The command lines that are started from now on; they start as ever."""
    lines = list[list[str]]()

    async def noted(words: list[str], **options: Any) -> Process:
        lines.append(words)
        return await launched(words, **options)

    monkeypatch.setattr(warmstart, "launched", noted)
    return lines


def kept(test: Any, *modules: str) -> list[str]:
    """Run a test with a fork server that is ready; what it reported."""
    reports = list[str]()

    async def kept_up() -> None:
        warm = WarmStart(("trickleweb.cli.status", *modules), reports.append)
        keeping = asyncio.create_task(warm.keep())
        await warm.ready()
        try:
            await test(warm)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    on_loop(kept_up())
    return reports


@pytest.mark.slow
def test_a_forked_process_is_as_one_that_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = cold(monkeypatch)

    async def test(warm: WarmStart) -> None:
        version, misuse = await asyncio.gather(warm.start(VERSION), warm.start(MISUSE))
        assert version.pid != warm.pid
        output, errors, code = await said(version)
        assert (output.split()[0], errors, code) == ("trickleweb", "", 0)
        output, errors, code = await said(misuse)
        assert (output, code) == ("", 1)
        assert errors.startswith("trickles keys: /nowhere")

    assert kept(test) == []
    assert len(lines) == 1  # the fork server alone


@pytest.mark.slow
def test_it_is_a_child_in_a_group_of_its_own_with_a_name(tmp_path: Path) -> None:
    sleeper = ForkedCommand("tests.support.sleeper", (), "replica-7")

    async def test(warm: WarmStart) -> None:
        process = await warm.start(sleeper)
        told = (await process.output.readline()).decode().split()
        assert told == [str(process.pid), str(os.getpid()), str(process.pid), "replica-7", "0,1,2"]
        process.send_signal(signal.SIGTERM)
        assert (await said(process))[2] == -signal.SIGTERM

    kept(test)


@pytest.mark.slow
def test_two_processes_share_neither_randomness_nor_streams() -> None:
    async def test(warm: WarmStart) -> None:
        one, two = [await warm.start(ForkedCommand("tests.support.sleeper", ("random",), "x")) for _ in range(2)]
        first, second = await said(one), await said(two)
        assert first[2] == second[2] == 0
        assert len(set(first[0].split()) | set(second[0].split())) == 6

    kept(test, "tests.support.sleeper.cli")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_fork_server_that_is_gone_or_stopped_ends_nothing_and_is_replaced(number: int) -> None:
    async def test(warm: WarmStart) -> None:
        before = await warm.start(ForkedCommand("tests.support.sleeper", (), "before"))
        await before.output.readline()
        first = warm.pid
        assert first is not None
        os.kill(first, number)
        output, _, code = await said(await warm.start(VERSION))
        assert (output.split()[0], code) == ("trickleweb", 0)
        assert before.returncode is None
        while warm.pid in (None, first):  # noqa: ASYNC110 - it says nothing when it is replaced
            await asyncio.sleep(0.01)
        assert (await said(await warm.start(VERSION)))[2] == 0
        before.kill()
        await said(before)

    reports = kept(test)
    assert f"the fork server ended with status {-signal.SIGKILL}" in reports
    assert ("the fork server does not answer and is replaced" in reports) == (number == signal.SIGSTOP)


@pytest.mark.slow
def test_without_a_fork_server_processes_are_started(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = cold(monkeypatch)

    async def test() -> None:
        warm = WarmStart(("no.such.module",), print)
        with pytest.raises(warmstart.Cold):
            await warm.keep()
        await warm.ready()
        assert (await said(await warm.start(VERSION)))[2] == 0

    on_loop(test())
    assert lines[-1] == [sys.executable, "-m", "trickleweb", "--version"]


@pytest.mark.slow
def test_a_fork_server_whose_sources_change_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deploy: what is started afterwards runs the new code."""
    package = tmp_path / "deployed"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "cli.py").write_text("def main(_):\n    print('old', flush=True)\n    return 0\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    command = ForkedCommand("deployed", (), "deployed")

    async def test(warm: WarmStart) -> None:
        assert (await said(await warm.start(command)))[0] == "old\n"
        (package / "cli.py").write_text("def main(_):\n    print('brand new', flush=True)\n    return 0\n")
        assert (await said(await warm.start(command)))[0] == "brand new\n"

    assert kept(test, "deployed.cli") == []


PROGRAM = "import os, sys\nimported_by = os.getpid()\n"
TELLS = """import os, sys
def main(_):
    known = sys.modules.get("program")
    print("cold" if known is None else "fresh" if known.imported_by == os.getpid() else "preloaded", flush=True)
    return 0
"""


def told_about(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[str]]:
    """What two processes say of a program that is to be preloaded, and the command lines that were started."""
    (tmp_path / "library" / "tells").mkdir(parents=True)
    (tmp_path / "library" / "tells" / "__init__.py").write_text("")
    (tmp_path / "library" / "tells" / "cli.py").write_text(TELLS)
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "program.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "library"))
    lines, words = cold(monkeypatch), list[str]()

    async def test(warm: WarmStart) -> None:
        for _ in range(2):
            words.append((await said(await warm.start(ForkedCommand("tells", (), "tells"))))[0].strip())

    assert kept(test, f"program@{tmp_path / 'app'}") == []
    assert len(lines) == 1  # the fork server alone
    return words, lines[0]


@pytest.mark.slow
def test_a_program_is_preloaded_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words, line = told_about(PROGRAM, tmp_path, monkeypatch)
    assert words == ["preloaded", "preloaded"]
    assert line[-1] == f"program@{tmp_path / 'app'}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n", "threads"),
        ("import socket\nopened = socket.socket()\n", "sockets"),
        ("import socket\nopened = socket.socketpair()\nraise RuntimeError('half way')\n", "half way"),
        ("raise SystemExit(1)\n", "SystemExit"),
        ("1 +", "SyntaxError"),
    ],
)
def test_a_program_that_cannot_be_forked_is_not_preloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], more: str, reason: str
) -> None:
    words, _ = told_about(PROGRAM + more, tmp_path, monkeypatch)
    assert words == ["cold", "cold"]
    (said,) = [line for line in capfd.readouterr().err.splitlines() if "is not preloaded" in line]
    assert reason in said


@pytest.mark.slow
def test_a_late_process_does_nothing() -> None:
    """The supervisor has stopped waiting: with its end of the leash closed nothing is begun."""

    async def test() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        words = [sys.executable, "-m", "trickleweb.cli.forkserver", str(theirs.fileno()), "trickleweb.cli.status"]
        adopt_orphans()
        server = await launched(words, keep=(theirs.fileno(),))
        theirs.close()
        loop = asyncio.get_running_loop()
        ours.setblocking(False)
        assert await loop.sock_recv(ours, len(READY)) == READY
        reader, writer = os.pipe()
        leash, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        job = f'{{"module": "trickleweb", "words": ["--version"], "name": "late", "supervisor": {os.getpid()}}}'
        socket.send_fds(ours, [job.encode()], [writer, writer, far.fileno()])
        os.close(writer)
        far.close()
        leash.setblocking(False)
        pid = int(await loop.sock_recv(leash, 32))
        leash.close()
        assert await loop.run_in_executor(None, os.read, reader, 100) == b""
        reaped(pid)
        os.close(reader)
        ours.close()
        assert await server.wait() == 0
        server.close()

    on_loop(test())
    assert GO != READY


def test_a_change_of_any_file_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = stamps()
    assert before[__file__] == stamps()[__file__]
    (tmp_path / "fresh_module.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    __import__("fresh_module")
    (tmp_path / "fresh_module.py").unlink()
    assert stamps()[str(tmp_path / "fresh_module.py")] == (0, 0, 0)
    del sys.modules["fresh_module"]
