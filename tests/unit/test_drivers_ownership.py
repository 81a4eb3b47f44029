"""What other users could change is refused, with the command that mends it: wherever files of a fleet lie."""

import os
import shlex
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.spools import Clock
from tests.support.system import require
from trickles.cli import main as trickles
from trickles.command import CommandFailed
from trickles.drivers.ownership import PRIVATE, check_directory, check_file, write_whole
from trickles.drivers.spooldir import SpoolDirectory
from trickles.errors import HandoverError, TricklesError, UnsafePlace
from trickles.gateway.handover import Control, Predecessor
from trickleweb.cli import main as trickleweb
from trickleweb.cli.rundir import FLEET, RunDir
from trickleweb.errors import WebError
from trickleweb.stores.ledger_file import LedgerFile


def mended(text: str) -> None:
    """Run the command that an error ends with."""
    subprocess.run(shlex.split(text.rpartition("): ")[2]), check=True, timeout=30)


def control(folder: Path) -> None:
    Control(folder / "gateway.sock", dict, report=lambda _: None).close()


def held(folder: Path) -> None:
    with RunDir(folder).held():
        pass


USES: dict[str, Callable[[Path], object]] = {
    "a run directory": held,
    "what reads a run directory": lambda folder: RunDir(folder).check(),
    "a spool": SpoolDirectory,
    "a ledger": lambda folder: LedgerFile(folder / "ledger").close(),
    "a control socket": control,
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777, 0o1777])
def test_a_directory_that_others_may_write_is_refused_until_it_is_mended(
    tmp_path: Path, use: Callable[[Path], object], mode: int
) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises((TricklesError, WebError)) as refused:
        use(folder)
    said = str(refused.value)
    assert said.startswith(str(folder))
    for_all_users = mode == 0o1777 and use in (USES["a run directory"], USES["what reads a run directory"])
    assert ("use --run-dir" in said) is for_all_users  # /tmp is not to be closed: it is the wrong place
    if not for_all_users:
        mended(said)
        use(folder)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_directory_of_another_user_is_refused(tmp_path: Path, use: Callable[[Path], object]) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to give a directory away")
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    os.chown(folder, 12_345, 12_345)
    with pytest.raises((TricklesError, WebError), match="belongs to user 12345, who could change it: chown 0 "):
        use(folder)


@pytest.mark.parametrize(
    "words",
    [
        ["gateway", "--listen", "127.0.0.1:0", "--replica", "127.0.0.1:9", "--status-file"],
        ["gateway", "--listen", "127.0.0.1:0", "--replica", "127.0.0.1:9", "--pid-file"],
    ],
)
def test_a_gateway_writes_nothing_where_others_may(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    tmp_path.chmod(0o722)
    assert trickles([*words, str(tmp_path / "file")]) == 1
    assert f"{tmp_path} can be changed by other users (mode 0722): chmod go-w {tmp_path}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--status-file", "--digests"])
def test_a_replica_writes_and_believes_nothing_where_others_may(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    tmp_path.chmod(0o722)
    assert trickleweb(["replica", str(tmp_path), "--udp", "127.0.0.1:0", option, str(tmp_path / "file")]) == 1
    assert f"chmod go-w {tmp_path}" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["status"], ["get", "http://127.0.0.1:9/"]])
def test_commands_do_not_believe_a_run_directory_that_others_may_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    RunDir(tmp_path).note(FLEET, {"pid": os.getpid(), "started": 0, "url": None, "udp": ["127.0.0.1:9"]})
    tmp_path.chmod(0o777)
    assert trickleweb([*words, "--run-dir", str(tmp_path)]) == 1
    assert f"chmod go-w {tmp_path}" in capsys.readouterr().err


def test_ledgers_and_digests_that_others_may_change_are_refused(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    ledger.touch()
    ledger.chmod(0o640)
    with pytest.raises(WebError, match=f"is open to other users .mode 0640.: chmod go-rwx {ledger}"):
        LedgerFile(ledger)
    ledger.chmod(0o600)
    LedgerFile(ledger).close()
    ledger.with_name("ledger-owners").chmod(0o755)
    with pytest.raises(WebError, match=r"chmod go-rwx .*ledger-owners"):
        LedgerFile(ledger)
    ledger.chmod(0o666)
    with pytest.raises(UnsafePlace, match=f"chmod go-w {ledger}"):
        check_file(ledger)


def test_a_link_in_the_place_of_a_file_is_refused_wherever_it_leads(tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "a folder"
    folder.mkdir(mode=0o700)
    LedgerFile(elsewhere).close()
    (folder / "spool").mkdir(mode=0o700)
    uses: dict[str, Callable[[Path], object]] = {
        "ledger": lambda path: LedgerFile(path).close(),
        "spool/identity": lambda _: SpoolDirectory(folder / "spool"),
        "digests": check_file,
    }
    for name, use in uses.items():
        (folder / name).symlink_to(elsewhere)
        with pytest.raises((TricklesError, WebError), match=r"is a symbolic link \(to .*elsewhere\): rm ") as refused:
            use(folder / name)
        mended(str(refused.value))
        use(folder / name)
        (folder / name).unlink(missing_ok=True)


def test_an_identity_of_another_user_or_open_to_others_is_refused(tmp_path: Path) -> None:
    clock, identity = Clock(), tmp_path / "spool" / "identity"
    spool = SpoolDirectory(tmp_path / "spool", clock=clock)
    assert spool.identity
    identity.chmod(0o640)
    with pytest.raises(TricklesError, match=f"is open to other users .mode 0640.: chmod go-rwx {identity}"):
        SpoolDirectory(tmp_path / "spool")
    identity.chmod(0o600)
    SpoolDirectory(tmp_path / "spool")
    if os.geteuid() != 0:
        pytest.skip("needs root to give a file away")
    os.chown(identity, 12_345, 12_345)
    with pytest.raises(TricklesError, match="belongs to user 12345, who could change it: chown 0 "):
        SpoolDirectory(tmp_path / "spool")
    clock.at += 2
    assert not spool.identity, "a process that is at work keeps nothing there"


def test_what_is_no_directory_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch(0o600)
    with pytest.raises(UnsafePlace, match="is not a directory"):
        check_directory(tmp_path / "file", PRIVATE)
    with pytest.raises(FileNotFoundError):
        check_directory(tmp_path / "nowhere")
    check_file(tmp_path / "not yet there")


def test_nobody_takes_over_from_a_socket_in_an_open_directory(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "gateway.sock"))
        sock.listen()
        tmp_path.chmod(0o777)
        with pytest.raises(UnsafePlace, match="chmod go-w"):
            Predecessor(tmp_path / "gateway.sock")


SQUATTER = """
import os, socket, sys
os.setuid(12345)
sock = socket.socket(socket.AF_UNIX)
sock.bind(sys.argv[1])
sock.listen()
print("ready", flush=True)
sys.stdin.read()
"""


def test_nobody_takes_over_from_another_users_process(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to be another user")
    place = Path("/tmp", f"trickles-squatter-{os.getpid()}")  # where that user may go
    place.mkdir(mode=0o700)
    try:
        os.chown(place, 12_345, 12_345)
        words = [require("python3"), "-c", SQUATTER, str(place / "gateway.sock")]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as squatter:
            assert squatter.stdout is not None
            assert squatter.stdout.readline() == b"ready\n"
            os.chown(place, 0, 0)
            with pytest.raises(HandoverError, match="is of user 12345, and not taken over from"):
                Predecessor(place / "gateway.sock")
            squatter.communicate(timeout=30)
    finally:
        (place / "gateway.sock").unlink(missing_ok=True)
        place.rmdir()


def test_files_are_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "figures"
    write_whole(path, "old")
    with path.open() as before:
        write_whole(path, "new")
        assert before.read() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_links_are_replaced_and_never_written_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim, path = tmp_path / "victim", tmp_path / "figures"
    victim.write_text("untouched")
    path.symlink_to(victim)
    write_whole(path, "new")
    assert (victim.read_text(), path.read_text(), path.is_symlink()) == ("untouched", "new", False)
    monkeypatch.setattr("secrets.token_hex", lambda _: "guessed")
    path.with_name(".figures.guessed.new").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_whole(path, "newer")
    assert (victim.read_text(), path.read_text()) == ("untouched", "new")


def test_a_run_directory_that_is_held_stays_in_use(tmp_path: Path) -> None:
    with RunDir(tmp_path / "run").held(), pytest.raises(CommandFailed, match="in use"):
        held(tmp_path / "run")
