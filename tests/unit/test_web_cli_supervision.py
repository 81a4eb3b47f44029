"""What a supervisor keeps for its fleet: its directory, its keys, its totals, and who its children are."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.loop import on_loop
from trickles.command import CommandFailed
from trickles.drivers.keystore import init_keystore, load_keyring, rotate_keystore
from trickleweb.cli.child import Child
from trickleweb.cli.keycopy import DAMAGED_LOOKS, KeyCopy
from trickleweb.cli.launch import Process, launched
from trickleweb.cli.rundir import RunDir
from trickleweb.cli.status import Totals, total
from trickleweb.cli.successors import Successors
from trickleweb.cli.tied import IS_LINUX
from trickleweb.cli.warmstart import ForkedCommand


def modes(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}


def test_keys_that_are_removed_are_put_back_as_they_were(tmp_path: Path) -> None:
    ring = init_keystore(tmp_path / "run" / "keys")
    copy, before = KeyCopy(tmp_path / "run" / "keys"), modes(tmp_path / "run" / "keys")
    assert not copy.look()
    shutil.rmtree(tmp_path / "run")
    assert copy.look()
    assert load_keyring(tmp_path / "run" / "keys") == ring
    assert modes(tmp_path / "run" / "keys") == before
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["keys"]
    assert not copy.look()


def test_a_rotation_is_copied_once_it_rests(tmp_path: Path) -> None:
    init_keystore(tmp_path / "keys")
    copy = KeyCopy(tmp_path / "keys")
    ring = rotate_keystore(tmp_path / "keys").keyring
    copy.look()
    copy.look()
    shutil.rmtree(tmp_path / "keys")
    assert copy.look()
    assert load_keyring(tmp_path / "keys") == ring


def test_a_removal_under_way_is_not_copied(tmp_path: Path) -> None:
    init_keystore(tmp_path / "keys")
    ring = rotate_keystore(tmp_path / "keys").keyring
    copy = KeyCopy(tmp_path / "keys")
    for path in sorted((tmp_path / "keys").glob("epoch-*.key")):
        path.unlink()
        copy.look()
    copy.look()  # it rests, and is no keyring
    shutil.rmtree(tmp_path / "keys")
    assert copy.look()
    assert load_keyring(tmp_path / "keys") == ring


def junk(path: Path) -> None:
    path.write_bytes(b"junk")


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("damage", [junk, Path.unlink, fifo, lambda path: path.chmod(0o644)])
@pytest.mark.parametrize("name", ["epoch-*.key", "server.pub"])
def test_keys_that_are_damaged_are_put_back_once_they_rest(
    tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    ring = init_keystore(tmp_path / "keys")
    copy = KeyCopy(tmp_path / "keys")
    (file,) = (tmp_path / "keys").glob(name)
    damage(file)
    said = [copy.look() for _ in range(DAMAGED_LOOKS + 2)]
    assert load_keyring(tmp_path / "keys") == ring
    harmful = name != "server.pub" or damage in (junk, fifo)
    assert [line for line in said if line] == said[DAMAGED_LOOKS : DAMAGED_LOOKS + 1] * harmful
    assert (tmp_path / "keys.damaged").is_dir() is harmful
    assert (tmp_path / "keys" / file.name).is_file() or not harmful


def test_keys_that_others_put_there_in_time_are_taken(tmp_path: Path) -> None:
    init_keystore(tmp_path / "keys")
    copy = KeyCopy(tmp_path / "keys")
    other = init_keystore(tmp_path / "other")
    for path in (tmp_path / "keys").iterdir():
        path.unlink()
        assert copy.look() is None
    for path in (tmp_path / "other").iterdir():
        shutil.copy(path, tmp_path / "keys")
        assert copy.look() is None
    assert [copy.look() for _ in range(DAMAGED_LOOKS + 2)] == [None] * (DAMAGED_LOOKS + 2)
    shutil.rmtree(tmp_path / "keys")
    copy.look()
    assert load_keyring(tmp_path / "keys") == other


def test_a_run_directory_that_is_removed_is_made_again_and_held(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path / "run")
    with run_dir.held():
        run_dir.note_pid("replica-0", 7)
        run_dir.note("fleet", {"pid": 1})
        shutil.rmtree(tmp_path / "run")
        run_dir.look()
        assert run_dir.pid("replica-0") == 7
        assert run_dir.figures("fleet") == {"pid": 1}
        with pytest.raises(CommandFailed, match="in use by another fleet"), RunDir(tmp_path / "run").held():
            pass
    with RunDir(tmp_path / "run").held():
        pass


def test_a_fleet_that_took_the_directory_meanwhile_keeps_it(tmp_path: Path) -> None:
    run_dir, other = RunDir(tmp_path / "run"), RunDir(tmp_path / "run")
    with run_dir.held():
        shutil.rmtree(tmp_path / "run")
        with other.held(), pytest.raises(CommandFailed, match="in use by another fleet"):
            run_dir.look()
        run_dir.look()


def test_totals_outlive_processes() -> None:
    totals = Totals()
    totals.look("replica-0", {"pid": 1, "requests": 5, "bytes_out": 10, "hashed": True})
    totals.look("replica-0", {"pid": 1, "requests": 7, "bytes_out": 20})
    assert totals.dead() == {}
    totals.look("replica-0", {"pid": 2, "requests": 1, "bytes_out": 1})
    totals.look("replica-0", {})  # the file cannot be read just now
    totals.look("replica-0", {"pid": 3, "requests": 0, "bytes_out": 0})
    assert totals.dead() == {"replica-0": {"requests": 8, "bytes_out": 21}}
    together = total(totals.dead()["replica-0"], {"pid": 3, "requests": 2, "bytes_out": 0, "packets_in": 4})
    assert together == {"requests": 10, "bytes_out": 21, "packets_in": 4}


@pytest.mark.parametrize("dead", [None, [], "x", {"requests": "many"}, {"requests": 1 << 64}, {"requests": -1}])
def test_totals_that_cannot_be_read_are_none(dead: object) -> None:
    assert total(dead, {"pid": 1, "requests": 2}) == {"requests": 2}


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


READY = "print('replica on 127.0.0.1:1', flush=True); "


def child_of(tmp_path: Path, *codes: str, control: Path | None = None) -> tuple[Child, RunDir]:
    """A child whose successive processes run these."""
    turns, run_dir = iter(codes), RunDir(tmp_path)

    async def start(command: ForkedCommand) -> Process:
        return await launched(python(next(turns)))

    return Child("replica-0", lambda: ForkedCommand("", (), ""), run_dir, start, control), run_dir


def test_a_process_that_ends_before_it_is_ready_says_why(tmp_path: Path) -> None:
    child, _ = child_of(tmp_path, "import sys; sys.exit('trickleweb replica: no luck')")
    with pytest.raises(CommandFailed, match=r"^replica-0 did not start: no luck$"):
        on_loop(child.start())


def test_a_process_that_cannot_be_started_is_a_failure_like_others(tmp_path: Path) -> None:
    async def start(_: ForkedCommand) -> Process:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    child = Child("replica-0", lambda: ForkedCommand("", (), ""), RunDir(tmp_path), start)
    with pytest.raises(CommandFailed, match=r"did not start: .*temporarily unavailable"):
        on_loop(child.start())


def first_child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def test_a_process_that_is_killed_is_started_again_whatever_holds_its_pipes_open(tmp_path: Path) -> None:
    holding = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
    wait = "import time; time.sleep(60)"
    child, run_dir = child_of(tmp_path, holding + READY + wait, READY + wait)
    told = list[str]()

    async def test() -> None:
        await child.start()
        first = run_dir.pid("replica-0")
        assert first is not None
        holder = first_child(first)
        keeping = asyncio.create_task(child.keep(told.append))
        try:
            os.kill(first, signal.SIGKILL)
            while run_dir.pid("replica-0") in (None, first):  # noqa: ASYNC110 - a file says nothing
                await asyncio.sleep(0.01)
        finally:
            os.kill(holder, signal.SIGKILL)
            keeping.cancel()
            await child.stop()

    on_loop(test())
    assert told == ["replica-0 ended", "replica-0 is back"]
    assert child.restarts == 1


WAIT = "import time; time.sleep(60)"
LISTEN = """
import os, socket, sys
sock = socket.socket(socket.AF_UNIX)
sock.bind(sys.argv[1] + ".new")
sock.listen(16)
os.rename(sys.argv[1] + ".new", sys.argv[1])
"""


@contextmanager
def sleeping() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with the fleet."""
    with subprocess.Popen(python(WAIT)) as stranger:
        try:
            yield stranger
        finally:
            stranger.kill()


def kept(child: Child, test: Callable[[int, list[str]], Awaitable[None]]) -> list[str]:
    """What is told while a child is kept up; the test gets the pid of its first process, and what is told so far."""
    told = list[str]()

    async def whole() -> None:
        await child.start()
        keeping = asyncio.create_task(child.keep(told.append))
        try:
            assert child.pid is not None
            await test(child.pid, told)
        finally:
            keeping.cancel()
            await child.stop()

    on_loop(whole())
    return told


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what other processes do."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("whose", ["stranger", "dead"])
@pytest.mark.parametrize("control", [None, "control"])
def test_a_pid_file_is_believed_by_nobody(tmp_path: Path, whose: str, control: str | None) -> None:
    """A copy of a run directory was put back, say: the process is kept up, and no other gets a signal."""
    child, run_dir = child_of(tmp_path, READY + WAIT, READY + WAIT, control=tmp_path / control if control else None)
    with sleeping() as stranger, subprocess.Popen(python("")) as dead:
        dead.wait()
        pid = {"stranger": stranger, "dead": dead}[whose].pid

        async def test(_: int, told: list[str]) -> None:
            for _ in range(2):  # a kill, and the end
                run_dir.pid_file("replica-0").write_text(f"{pid}\n")
                child.signal(signal.SIGHUP)  # which ends a process that does not heed it
                await until(lambda: "replica-0 is back" in told)

        assert kept(child, test) == ["replica-0 ended", "replica-0 is back"]
        assert stranger.poll() is None


def test_a_successor_is_who_listens_at_the_control_socket(tmp_path: Path) -> None:
    """It is no child here: it is watched and signalled all the same."""
    control = tmp_path / "control"
    child, run_dir = child_of(tmp_path, READY + WAIT, READY + WAIT, control=control)
    with listening(control) as successor:

        async def test(first: int, told: list[str]) -> None:
            await until(lambda: child.pid == successor.pid)
            assert run_dir.pid("replica-0") == successor.pid
            os.kill(first, signal.SIGKILL)
            child.signal(signal.SIGHUP)
            assert successor.wait(60) == -signal.SIGHUP
            assert told == []
            await until(lambda: "replica-0 is back" in told)

        assert kept(child, test) == ["replica-0 ended", "replica-0 is back"]


def test_a_successor_that_was_not_ready_when_its_predecessor_died_is_taken_up(tmp_path: Path) -> None:
    control = tmp_path / "control"
    child, _ = child_of(tmp_path, READY + WAIT, "raise SystemExit('trickles gateway: in use')", control=control)

    async def test(first: int, told: list[str]) -> None:
        os.kill(first, signal.SIGKILL)
        await until(lambda: any("did not start" in line for line in told))
        with listening(control) as successor:
            await until(lambda: child.pid == successor.pid)
            assert told[-1] == "replica-0 is back"

    kept(child, test)


@contextmanager
def listening(control: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that listens at a control socket."""
    words = [*python(LISTEN + "print('listens', flush=True); " + WAIT), str(control)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"listens\n"
            yield process
        finally:
            process.kill()


def test_a_successor_ends_with_the_fleet(tmp_path: Path) -> None:
    control = tmp_path / "control"
    child, _ = child_of(tmp_path, READY + WAIT, control=control)
    with listening(control) as successor:

        async def test(_: int, told: list[str]) -> None:
            await until(lambda: child.pid == successor.pid)

        assert kept(child, test) == []
        assert successor.wait(60) == -signal.SIGTERM


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero"), Path.touch])
def test_what_is_no_control_socket_holds_nobody_up(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "control")
    assert Successors(tmp_path / "control").find(1, always=True) is None


@pytest.mark.slow
@pytest.mark.skipif(not IS_LINUX, reason="needs prctl(2)")
def test_orphans_are_let_go_of_and_children_are_not(tmp_path: Path) -> None:
    """In a process of its own, as all descendants are adopted."""
    code = """
import asyncio, os, sys
from trickleweb.cli.launch import launched, reap_orphans
from trickleweb.cli.successors import Successors
from trickleweb.cli.tied import adopt_orphans
async def test():
    assert adopt_orphans()
    own = await launched([sys.executable, "-c", "raise SystemExit(3)"])
    reader, writer = os.pipe()
    if (between := os.fork()) == 0:
        if (orphan := os.fork()) == 0:
            os._exit(0)
        os.write(writer, str(orphan).encode())
        os._exit(0)
    os.waitpid(between, 0)
    orphan = int(os.read(reader, 32))
    while os.path.exists(f"/proc/{orphan}"):
        reap_orphans()
        await asyncio.sleep(0.01)
    assert await own.wait() == 3
asyncio.run(test())
"""
    process = on_loop(ended(code))
    assert process.returncode == 0


async def ended(code: str) -> Process:
    process = await launched(python(code))
    said = await process.errors.read()
    await process.wait()
    process.close()
    assert not said, said.decode()
    return process
