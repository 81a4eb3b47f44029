"""`trickles keys` as users run it: processes, pipes, exit codes; and a fleet rotated under a running process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trickles.drivers.keystore import KeyringSource, load_keyring, read_server_key

pytestmark = pytest.mark.e2e


def trickles(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "trickles", *map(str, words)], capture_output=True, text=True, check=False, timeout=60
    )


def test_a_fleets_keys_from_the_first_to_a_rotation_that_a_running_process_sees(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    made = trickles("keys", "init", keys)
    assert (made.returncode, made.stderr) == (0, "")
    assert read_server_key(made.stdout.splitlines()[1]) == read_server_key(keys / "server.pub")
    source = KeyringSource(keys)
    assert trickles("keys", "rotate", keys, "--not-before", "60").returncode == 0
    assert source.changed() == load_keyring(keys)
    assert len(source.keyring.epochs) == 2
    listed = trickles("keys", "list", keys).stdout
    assert [" in force " in listed, " to come " in listed] == [True, True]


def test_exit_codes_and_errors_of_one_line(tmp_path: Path) -> None:
    assert trickles("keys", "init", tmp_path / "keys").returncode == 0
    again, misused = trickles("keys", "init", tmp_path / "keys"), trickles("keys", "init")
    assert (again.returncode, again.stdout, again.stderr.count("\n")) == (1, "", 1)
    assert (misused.returncode, misused.stdout, misused.stderr.count("\n")) == (2, "", 1)
    (tmp_path / "keys").chmod(0o755)
    refused = trickles("keys", "show", tmp_path / "keys")
    assert (refused.returncode, refused.stderr.endswith(f"chmod go-rwx {tmp_path}/keys\n")) == (1, True)


def test_the_exported_keyring_works_from_the_environment(tmp_path: Path) -> None:
    trickles("keys", "init", tmp_path / "keys")
    value = trickles("keys", "export", tmp_path / "keys").stdout.strip()
    code = "from trickles.drivers.keystore import load_keyring; print(load_keyring().epochs[0].identifier)"
    environ = os.environ | {"TRICKLES_KEYRING": value}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert int(done.stdout) == load_keyring(tmp_path / "keys").epochs[0].identifier


def test_a_reader_that_leaves_early_gets_no_traceback(tmp_path: Path) -> None:
    trickles("keys", "init", tmp_path / "keys")
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "trickles", "keys", "list", str(tmp_path / "keys")]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_the_installed_command_is_the_module(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("trickles")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == trickles("--version").stdout
    assert done.stdout.startswith("trickles 0.")


def test_processes_that_rotate_at_once_lose_no_epoch(tmp_path: Path) -> None:
    trickles("keys", "init", tmp_path / "keys")
    command = [sys.executable, "-m", "trickles", "keys", "rotate", str(tmp_path / "keys"), "--keep", "9"]
    started = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(4)]
    assert [each.wait(timeout=60) for each in started] == [0] * 4
    assert len(load_keyring(tmp_path / "keys").epochs) == 5
