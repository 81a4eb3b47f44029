"""`trickles run`: what a command finds in its environment, and which programs cannot be hooked."""

import os
import struct
from pathlib import Path

import pytest

from trickles.cli import main
from trickles.cli.hook import VARIABLE, hook_configuration, library, problem
from trickles.cli.private import Private
from trickles.cli.run import proxied
from trickles.errors import LocalProtocolError

GATEWAY = Private(4711, "/tmp/hook.conf")
INTERPRETER, LOADED = 3, 1


def elf(path: Path, *headers: int, wide: bool = True, machine: int = 62, mode: int = 0o755) -> str:
    """A file that looks like a program with such program headers."""
    start, size = (64, 56) if wide else (52, 32)
    head = bytearray(start)
    head[:6] = b"\x7fELF" + bytes((2 if wide else 1, 1))
    struct.pack_into("<H", head, 18, machine)
    struct.pack_into("<Q" if wide else "<I", head, 32 if wide else 28, start)
    struct.pack_into("<HH", head, 54 if wide else 42, size, len(headers))
    body = b"".join(struct.pack("<I", kind).ljust(size, b"\0") for kind in headers)
    path.write_bytes(bytes(head) + body.ljust(64, b"\0"))
    path.chmod(mode)
    return str(path)


def script(path: Path, first: bytes) -> str:
    """A script."""
    path.write_bytes(first + b"\nexit\n")
    path.chmod(0o755)
    return str(path)


def test_programs_find_the_gateway_and_no_other_proxy() -> None:
    found = proxied({"HTTP_PROXY": "elsewhere", "no_proxy": "all", "LD_PRELOAD": "x.so", "A": "b"}, GATEWAY, None)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        assert found[name] == found[name.upper()] == "http://127.0.0.1:4711"
    assert found["no_proxy"] == found["NO_PROXY"] == ""
    assert (found["A"], found["LD_PRELOAD"]) == ("b", "x.so")
    assert "PROXYCHAINS_CONF_FILE" not in found
    hooked = proxied({"LD_PRELOAD": "x.so"}, GATEWAY, "/lib/chains.so")
    assert (hooked["LD_PRELOAD"], hooked["PROXYCHAINS_CONF_FILE"]) == ("/lib/chains.so:x.so", "/tmp/hook.conf")
    assert proxied({}, GATEWAY, "/lib/chains.so")["LD_PRELOAD"] == "/lib/chains.so"
    assert hook_configuration(4711).endswith("[ProxyList]\nsocks5 127.0.0.1 4711\n")


def test_which_programs_can_be_hooked(tmp_path: Path) -> None:
    preload = elf(tmp_path / "chains.so", LOADED)
    dynamic = elf(tmp_path / "dynamic", LOADED, INTERPRETER)
    assert problem(dynamic, preload) is None
    assert problem(script(tmp_path / "script", b"#!" + dynamic.encode() + b" -x"), preload) is None
    assert problem(script(tmp_path / "outer", b"#! " + str(tmp_path / "script").encode()), preload) is None
    narrow = elf(tmp_path / "narrow", INTERPRETER, wide=False, machine=3)
    assert problem(narrow, elf(tmp_path / "narrow.so", LOADED, wide=False, machine=3)) is None


def test_which_cannot(tmp_path: Path) -> None:
    preload = elf(tmp_path / "chains.so", LOADED)
    static = elf(tmp_path / "static", LOADED)
    found = {
        "static": static,
        "script": script(tmp_path / "script", b"#!" + static.encode()),
        "narrow": elf(tmp_path / "narrow", INTERPRETER, wide=False),
        "foreign": elf(tmp_path / "foreign", INTERPRETER, machine=183),
        "text": script(tmp_path / "text", b"echo"),
        "empty": script(tmp_path / "empty", b"#!"),
        "lost": script(tmp_path / "lost", b"#!/no/such/interpreter"),
        "endless": script(tmp_path / "endless", b"#!" + str(tmp_path / "endless").encode()),
        "missing": str(tmp_path / "missing"),
    }
    reasons = {name: problem(path, preload) or "none" for name, path in found.items()}
    assert {name: reason.partition(" (")[0] for name, reason in reasons.items()} == {
        "static": "it is a static binary",
        "script": "it is a static binary",
        "narrow": "it is of another architecture than the library of proxychains",
        "foreign": "it is of another architecture than the library of proxychains",
        "text": "it is not a program for this system",
        "empty": "it is a script without its interpreter",
        "lost": "it is a script without its interpreter",
        "endless": "it is a script whose interpreters are scripts",
        "missing": "it cannot be read",
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
def test_programs_of_other_users_cannot(tmp_path: Path) -> None:
    preload, program = elf(tmp_path / "chains.so", LOADED), elf(tmp_path / "dynamic", INTERPRETER)
    for user, group, mode, hooked in (
        (1, 0, 0o4755, False),
        (0, 1, 0o2755, False),
        (0, 0, 0o6755, True),
        (1, 1, 0o755, True),
    ):
        os.chown(program, user, group)
        Path(program).chmod(mode)
        reason = problem(program, preload)
        assert (reason is None) is hooked
        assert hooked or str(reason).startswith("it runs as another user or group")


def test_files_cut_at_every_byte_are_no_programs(tmp_path: Path) -> None:
    whole = Path(elf(tmp_path / "whole", LOADED, INTERPRETER)).read_bytes()
    preload = elf(tmp_path / "chains.so", LOADED)
    for size in range(len(whole)):
        (tmp_path / "cut").write_bytes(whole[:size])
        reason = problem(str(tmp_path / "cut"), preload)
        assert size > 64 + 56 or reason is not None


def test_the_library_is_found_or_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none.so"))
    with pytest.raises(LocalProtocolError, match=f"{VARIABLE} names no file"):
        library()
    monkeypatch.setenv(VARIABLE, elf(tmp_path / "some.so", LOADED))
    assert library() == str(tmp_path / "some.so")


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (("--map", "h=127.0.0.1:1"), 1, "no command:"),
        (("--map", "h=127.0.0.1:1", "--"), 1, "no command:"),
        (("--", "true"), 1, "no hosts are mapped"),
        (("--map", "h=127.0.0.1:1", "--", "no-such-command"), 127, "no-such-command: no such command"),
        (("--policy", "best", "--", "true"), 2, "invalid choice: 'best'"),
    ],
)
def test_what_keeps_a_command_from_running(
    words: tuple[str, ...], code: int, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        assert main(["run", *words]) == code
    except SystemExit as exit_:
        found = exit_.code
    else:
        found = code
    assert found == code
    told = capsys.readouterr().err
    assert expected in told
    assert told.count("\n") == 1


def test_a_static_binary_is_told_of_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, elf(tmp_path / "chains.so", LOADED))
    assert main(["run", "--map", "h=127.0.0.1:1", "--hook", "--", elf(tmp_path / "static", LOADED)]) == 126
    assert "static cannot be hooked: it is a static binary" in capsys.readouterr().err
