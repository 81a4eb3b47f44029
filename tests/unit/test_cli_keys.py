"""The command `trickles keys`, run in this process: what it prints, and how it refuses."""

import fcntl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.keys import IDENTITY, NOON, epoch, fleet, ring
from trickles.cli import COMMANDS, command, main
from trickles.drivers.keystore import keyring_text, load_keyring, read_server_key, server_key_text
from trickles.drivers.keystore.source import VARIABLE
from trickles.drivers.world import wall_us
from trickles.handshake import DAY, hello_public_key
from trickles.keyring import fingerprint
from trickles.limits import SECOND

Captured = pytest.CaptureFixture[str]


def misused(capsys: Captured, *words: str) -> str:
    """What one line on stderr says about wrong arguments; the exit code is 2."""
    with pytest.raises(SystemExit) as caught:
        main(words)
    out, err = capsys.readouterr()
    assert (caught.value.code, out, err.count("\n")) == (2, "", 1)
    return err


def failed(capsys: Captured, *words: str) -> str:
    """What one line on stderr says about a failure; the exit code is 1."""
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


def printed(capsys: Captured, *words: str) -> list[str]:
    """The lines on stdout of a command that succeeds and complains of nothing."""
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out.splitlines()


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Keys that commands look at an hour after they were made."""
    monkeypatch.setattr("trickles.cli.keys.wall_us", lambda: NOON + 3600 * SECOND)
    return str(fleet(tmp_path / "keys", *ring(9, 7).epochs))


def test_init_prints_what_clients_pin(tmp_path: Path, capsys: Captured) -> None:
    lines = printed(capsys, "keys", "init", str(tmp_path / "keys"), "--comment", "of Oslo")
    made = load_keyring(tmp_path / "keys").epochs[0].identifier
    assert lines[0] == f"made a fleet's identity and epoch {made:08x}; clients pin {tmp_path}/keys/server.pub:"
    assert lines[1] == server_key_text(read_server_key(tmp_path / "keys" / "server.pub"), "of Oslo")


def test_init_does_not_touch_keys_that_are_there(keys: str, capsys: Captured) -> None:
    assert "holds keys already" in failed(capsys, "keys", "init", keys)
    assert load_keyring(keys) == ring(9, 7)


def test_rotate_adds_an_epoch_and_names_what_it_dropped(tmp_path: Path, capsys: Captured) -> None:
    keys = fleet(tmp_path / "keys", epoch(9, since=1), epoch(7, since=2))
    lines = printed(capsys, "keys", "rotate", str(keys), "--keep", "2")
    held, fresh = load_keyring(keys).epochs
    assert held == epoch(7, since=2)
    assert lines[0].startswith(f"epoch {fresh.identifier:08x} is in force from 20")
    assert lines[1:] == ["epoch 00000009 is dropped"]


@pytest.mark.parametrize("delay", [0, 300])
def test_rotate_puts_the_epoch_in_force_after_the_delay(tmp_path: Path, capsys: Captured, delay: int) -> None:
    printed(capsys, "keys", "init", str(tmp_path / "keys"))
    printed(capsys, "keys", "rotate", str(tmp_path / "keys"), *(["--not-before", "0"] if delay == 0 else []))
    first, second = (each.not_before for each in load_keyring(tmp_path / "keys").epochs)
    assert delay <= (second - first) / 1e6 < delay + 60
    states = [line[10:20].strip() for line in printed(capsys, "keys", "list", str(tmp_path / "keys"))[1:]]
    assert states == (["in force", "to come"] if delay else ["opens only", "in force"])


def test_list_shows_every_epoch(keys: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trickles.cli.keys.wall_us", lambda: NOON)
    nine, seven = (fingerprint(hello_public_key(each)) for each in ring(9, 7).epochs)
    assert printed(capsys, "keys", "list", keys) == [
        "epoch     state       in force from         certificate ends      fingerprint",
        f"00000009  in force    2027-01-15 08:00:00Z  2027-02-14 08:00:00Z  {nine}",
        f"00000007  to come     2027-01-15 08:00:01Z  2027-02-14 08:00:01Z  {seven}",
    ]


def test_show_tells_the_identity(keys: str, capsys: Captured) -> None:
    nine, seven = (fingerprint(hello_public_key(each)) for each in ring(9, 7).epochs)
    assert printed(capsys, "keys", "show", keys) == [
        server_key_text(IDENTITY),
        f"identity  {fingerprint(IDENTITY)}",
        f"epoch     {nine}  00000009, certified until 2027-02-14 08:00:00Z",
        f"epoch     {seven}  00000007, certified until 2027-02-14 08:00:01Z",
    ]


@pytest.mark.parametrize("action", ["show", "list"])
@pytest.mark.parametrize(("days", "said"), [(16, ""), (17, "ends in 13 days, 2027-02-14"), (31, "ended 2027-02-14")])
def test_a_certificate_that_ends_is_warned_of(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch, action: str, days: int, said: str
) -> None:
    monkeypatch.setattr("trickles.cli.keys.wall_us", lambda: NOON + days * DAY)
    assert main(["keys", action, str(fleet(tmp_path / "keys", epoch(9)))]) == 0
    told = capsys.readouterr().err
    assert told.count("\n") == (1 if said else 0)
    assert said in told
    assert not said or told.startswith("trickles keys: WARNING: the certificate of epoch 00000009 ")


@pytest.mark.parametrize(("days", "rotated"), [(6, False), (7, True)])
def test_rotate_may_wait_until_it_is_due(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch, days: int, rotated: bool
) -> None:
    keys = fleet(tmp_path / "keys", epoch(9))
    for module in ("trickles.cli.keys", "trickles.drivers.keystore.making"):
        monkeypatch.setattr(f"{module}.wall_us", lambda: NOON + days * DAY)
    for _ in range(2):
        printed(capsys, "keys", "rotate", str(keys), "--if-due")
        assert len(load_keyring(keys).epochs) == 1 + rotated


def test_of_two_timers_that_run_at_once_one_rotates(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, locks = fleet(tmp_path / "keys", epoch(9)), list[int]()
    for module in ("trickles.cli.keys", "trickles.drivers.keystore.making"):
        monkeypatch.setattr(f"{module}.wall_us", lambda: NOON + 7 * DAY)

    def locked_later(descriptor: int, operation: int, lock: Callable[[int, int], None] = fcntl.flock) -> None:
        locks.append(descriptor)
        if len(locks) == 1:  # another one comes first
            assert main(["keys", "rotate", str(keys), "--if-due"]) == 0
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", locked_later)
    printed(capsys, "keys", "rotate", str(keys), "--if-due")
    assert len(locks) == 2
    assert len(load_keyring(keys).epochs) == 2


@pytest.mark.parametrize("words", [["list"], ["show"], ["init"], ["rotate"]])
def test_no_command_but_export_prints_a_secret(tmp_path: Path, capsys: Captured, words: list[str]) -> None:
    keys = tmp_path / "keys" if words == ["init"] else fleet(tmp_path / "keys", epoch(9, wall_us()))
    output = "\n".join(printed(capsys, "keys", *words, str(keys)))
    secrets = [(keys / "identity.key").read_bytes(), *(each.key for each in load_keyring(keys).epochs)]
    for secret in secrets:
        assert not any(form in output for form in (secret.hex(), server_key_text(secret).split()[1]))


def test_what_is_exported_is_the_keyring(
    keys: str, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    [line] = printed(capsys, "keys", "export", keys)
    monkeypatch.setenv(VARIABLE, line)
    assert load_keyring(environ={VARIABLE: line}) == ring(9, 7)
    assert line == keyring_text(ring(9, 7))
    assert printed(capsys, "keys", "export", keys, "--output", str(tmp_path / "ring")) == []
    assert load_keyring(tmp_path / "ring") == ring(9, 7)
    assert len(printed(capsys, "keys", "list", str(tmp_path / "ring"))) == 3


def test_secrets_are_not_shown_on_a_terminal(keys: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert "not printed on a terminal" in failed(capsys, "keys", "export", keys)


@pytest.mark.parametrize("action", ["list", "show", "rotate", "export"])
def test_a_missing_directory_is_one_line(tmp_path: Path, capsys: Captured, action: str) -> None:
    err = failed(capsys, "keys", action, str(tmp_path / "missing"))
    assert err == f"trickles keys: {tmp_path}/missing: No such file or directory: make keys with `trickles keys init`\n"


@pytest.mark.parametrize("action", ["list", "show", "rotate", "export"])
def test_a_directory_open_to_others_is_refused_with_the_fix(keys: str, capsys: Captured, action: str) -> None:
    Path(keys).chmod(0o755)
    assert failed(capsys, "keys", action, keys).endswith(f": chmod go-rwx {keys}\n")


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2Jb", "a\u2028b", "a\udcffb"])
def test_a_name_cannot_break_the_line_or_drive_the_terminal(tmp_path: Path, capsys: Captured, name: str) -> None:
    assert failed(capsys, "keys", "list", str(tmp_path / name)).rstrip("\n").isprintable()
    assert main(["keys", "init", str(tmp_path / name)]) == 0
    out, _ = capsys.readouterr()
    assert all(line.isprintable() for line in out.split("\n"))
    assert out.count("\n") == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "required: COMMAND"),
        (["nonsense"], "invalid choice: 'nonsense'"),
        (["keys"], "required: ACTION"),
        (["keys", "nonsense"], "invalid choice: 'nonsense'"),
        (["keys", "list"], "required: DIR"),
        (["keys", "list", "a", "b"], "unrecognized arguments: b (see trickles keys --help)"),
        (["keys", "rotate", "a", "--kee", "2"], "unrecognized arguments: --kee"),
        (["keys", "rotate", "a", "--keep", "0"], "--keep: not a whole number from 1 to 32: '0'"),
        (["keys", "rotate", "a", "--keep", "\u0663"], "--keep: not a whole number"),
        (["keys", "rotate", "a", "--keep", "3\n4"], "--keep: not a whole number"),
        (["keys", "rotate", "a", "--keep", "9" * 5000], "--keep: not a whole number"),
        (["keys", "rotate", "a", "--not-before", "-1"], "--not-before"),
        (["keys", "rotate", "a", "--not-before", "1e3"], "--not-before: not a whole number from 0"),
        (["--nonsense"], "required: COMMAND"),
    ],
)
def test_misuse_is_one_line(words: list[str], expected: str, capsys: Captured) -> None:
    assert expected in misused(capsys, *words)


@pytest.mark.parametrize("words", [["--help"], ["keys", "--help"], ["keys", "rotate", "--help"]])
def test_help_succeeds_and_names_what_there_is(words: list[str], capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    out, err = capsys.readouterr()
    assert (caught.value.code, err) == (0, "")
    assert all(each in out for each in {1: COMMANDS, 2: ["init", "rotate", "list", "show"], 3: ["--keep"]}[len(words)])


def test_the_version_is_printed(capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert (caught.value.code, capsys.readouterr().out.split()[0]) == (0, "trickles")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_what_the_table_promises(name: str) -> None:
    module = command(name)
    assert all(callable(getattr(module, each)) for each in ("add_arguments", "run"))
    assert (module.__doc__ or "").strip()
    assert COMMANDS[name][1]


def test_an_interrupt_is_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(command("keys"), "run", interrupted)
    assert main(["keys", "list", "x"]) == 130
    assert capsys.readouterr().err == ""


def test_only_the_module_of_the_command_that_runs_is_imported() -> None:
    code = (
        "import sys; from trickles.cli import build_parser; build_parser(); print('trickles.cli.keys' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
