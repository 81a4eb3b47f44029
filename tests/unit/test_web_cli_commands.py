"""The command `trickleweb`, as far as it starts no process: words, files, tables, lines."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from trickles.cli import main as trickles_main
from trickles.command import CommandFailed, address, seconds, version, whole_number
from trickles.drivers.addresses import shown
from trickles.drivers.keystore import init_keystore
from trickles.printable import one_line
from trickleweb.cli import COMMANDS, build_parser, command, main
from trickleweb.cli.download import line
from trickleweb.cli.mistaken import is_closed
from trickleweb.cli.rundir import FLEET, RunDir, replica_name
from trickleweb.cli.site_options import cache_rule, site_options, site_words
from trickleweb.files import CacheRule


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        ("[::1]:0", ("::1", 0)),
        (":8080", ("", 8080)),
        ("localhost:65535", ("localhost", 65535)),
    ],
)
def test_addresses_are_read_and_shown(text: str, expected: tuple[str, int]) -> None:
    assert address(text) == expected
    assert shown(expected) == text


@pytest.mark.parametrize(
    "text",
    ["", "80", "host", "host:", "host:65536", "host:-1", "host:8\N{ARABIC-INDIC DIGIT ZERO}", "::1", "::1:80:", "a:b"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        address(text)


@pytest.mark.parametrize("text", ["host:65536", "host:9" + "0" * 5000])
def test_a_port_that_is_too_large_is_named(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="a port is 0 to 65535"):
        address(text)


@pytest.mark.parametrize("text", ["", "0", "65", "-1", "1.0", "\N{ARABIC-INDIC DIGIT THREE}", "9" * 30])
def test_counts_have_bounds(text: str) -> None:
    assert whole_number(1, 64)("64") == 64
    with pytest.raises(ArgumentTypeError):
        whole_number(1, 64)(text)


def test_what_is_shown_stays_on_its_line() -> None:
    assert one_line("a\nb\x1b[31m\N{RIGHT-TO-LEFT OVERRIDE}é") == "a\\nb\\x1b[31m\\u202eé"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    assert (command(name).__doc__ or "").splitlines()[0] in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [[], ["serve"], ["brew"], ["serve", ".", "--replicas", "0"], ["serve", ".", "--rep", "1"]]
)
def test_misuse_is_one_line_and_exit_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["serve", "/", "--fallback", "no.html"], "trickleweb serve: there is no page no.html in / for --fallback"),
        (["serve", "/", "--udp", "[::1]:65534"], "trickleweb serve: there are no 3 ports from [::1]:65534 on"),
        (["status", "--run-dir", "/nowhere"], "trickleweb status: no fleet runs under /nowhere"),
        (["get", "http://h/", "--run-dir", "/nowhere"], "trickleweb get: no fleet runs under /nowhere"),
        (["get", "ftp://h/"], "trickleweb get: not a URL of the form http://HOST[:PORT]/PATH: ftp://h/"),
        (["get", "http://h:port/"], "trickleweb get: not HOST:PORT: 'h:port:80'"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 1
    assert capsys.readouterr().err == told + "\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["serve", "/nowhere\n"], "trickleweb serve: no such folder: /nowhere\\n"),
        (["serve", "/etc/passwd"], "trickleweb serve: not a folder: /etc/passwd"),
        (["replica", "/nowhere", "--udp", ":0"], "trickleweb replica: no such folder: /nowhere"),
    ],
)
def test_what_cannot_be_meant_is_told_in_one_line(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err == told + "\n"


def test_a_folder_that_may_not_be_read_is_not_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "access", lambda _path, wanted: not wanted & os.R_OK)  # root may read all
    assert main(["serve", str(tmp_path)]) == 2
    told = f"trickleweb serve: {tmp_path} may not be read by this user: chmod u+rx {tmp_path}, or run as its owner\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize(
    "text", ["", "0", "0.04", "3601", "1e3", "nan", "-1", ".5", "1.", "\N{ARABIC-INDIC DIGIT THREE}"]
)
def test_seconds_have_bounds(text: str) -> None:
    assert [seconds(each) for each in ("0.05", "0.25", "3600")] == [0.05, 0.25, 3600]
    with pytest.raises(ArgumentTypeError):
        seconds(text)


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"trickleweb {version()}\n"


def test_the_folder_may_have_any_name() -> None:
    parsed = build_parser("replica").parse_args(["replica", "--udp", ":0", "--", "--listing"])
    assert (parsed.directory, parsed.listing) == ("--listing", False)


def test_rules_for_caches_reach_the_replicas_as_they_were_said() -> None:
    rules = ["--cache-control", "img/*=max-age=60", "--cache-control", "*.css= no-store "]
    told = build_parser("serve").parse_args(["serve", "site", *rules])
    words = site_words(told)
    again = build_parser("replica").parse_args(["replica", "--udp", ":0", *words])
    expected = (CacheRule("img/*", "max-age=60"), CacheRule("*.css", "no-store"))
    assert site_options(told).cache_rules == site_options(again).cache_rules == expected
    assert site_options(build_parser("serve").parse_args(["serve", "site"])).cache_rules == ()


@pytest.mark.parametrize("text", ["", "=", "*", "*=", "=no-store", "*= ", "*=a\r\nSet-Cookie: b", "*=\N{EURO SIGN}"])
def test_what_is_no_rule_for_caches_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        cache_rule(text)


def test_a_directory_for_all_users_is_no_run_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Least of all is /tmp to be closed to others."""
    (tmp_path / "all").mkdir()
    (tmp_path / "all").chmod(0o1777)
    assert main(["serve", str(tmp_path), "--run-dir", str(tmp_path / "all")]) == 1
    told = capsys.readouterr().err
    place = tmp_path / "all"
    assert told == f"trickleweb serve: {place} is a directory for all users: use --run-dir {place}/NAME, or another\n"
    (tmp_path / "all").chmod(0o777)
    assert main(["serve", str(tmp_path), "--run-dir", str(tmp_path / "all")]) == 1
    assert capsys.readouterr().err.endswith(f"chmod go-w {tmp_path}/all\n")


@pytest.mark.slow
def test_get_reports_a_closed_port_soon(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{sock.getsockname()[1]}"
    assert main(["get", f"http://{place}/", "-o", "-"]) == 1
    assert f"get: nothing listens at {place} (UDP): name a replica with --replica" in capsys.readouterr().err


def test_a_program_that_is_silent_may_be_a_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        assert asyncio.run(is_closed(sock.getsockname())) is False


@pytest.mark.parametrize("package", ["trickles", "trickleweb"])
def test_an_interrupt_before_the_command_runs_is_no_traceback(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    cli = import_module(f"{package}.cli")
    monkeypatch.setattr(cli, "build_parser", interrupted)
    assert cli.main(["serve"]) == 130


@pytest.mark.parametrize("package", ["trickles", "trickleweb"])
def test_what_takes_long_to_import_is_imported_where_an_interrupt_is_caught(package: str) -> None:
    code = f"import sys, {package}.cli; print(*[name for name in sys.modules if name.startswith('trickle')])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert set(told.split()) == {package, f"{package}.cli", "trickles", "trickles.faces"}


def test_a_gateway_at_a_name_that_is_none_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init_keystore(tmp_path / "keys")
    words = ["gateway", "--listen", "256.1.1.1:80", "--replica", "127.0.0.1:9"]
    assert trickles_main([*words, "--server-key", str(tmp_path / "keys" / "server.pub")]) == 1
    told = capsys.readouterr().err
    assert told.startswith("trickles gateway: cannot listen on 256.1.1.1:80: ")
    assert told.endswith(": choose another with --listen HOST:PORT (make serve: PORT=...)\n")


def test_a_run_directory_is_for_one_fleet(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path / "deep" / "run")
    with run_dir.held():
        run_dir.note_pid("gateway", 7)
        with pytest.raises(CommandFailed, match="in use"), RunDir(run_dir.path).held():
            pass
        assert run_dir.pid("gateway") == 7
    with run_dir.held():
        assert run_dir.pid("gateway") is None
    assert run_dir.path.stat().st_mode & 0o777 == 0o700


ODD = [
    "",
    "{",
    "[1]",
    "null",
    "\xff",
    "-1",
    "0",
    "[" * 100_000,
    '{"a":' * 100_000,
    '{"a": ' + "9" * 5000 + "}",
    " " * (1 << 20),
]


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_figures_that_cannot_be_read_are_none(tmp_path: Path, text: str) -> None:
    run_dir = RunDir(tmp_path)
    run_dir.status_file("gateway").write_bytes(text.encode("latin-1"))
    run_dir.pid_file("gateway").write_bytes(text.encode("latin-1"))
    assert run_dir.figures("gateway") == {}
    assert run_dir.pid("gateway") is None


@pytest.mark.parametrize(
    "make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero"), lambda path: path.symlink_to(path)]
)
def test_what_is_no_file_holds_nobody_up(tmp_path: Path, make: Callable[[Path], None]) -> None:
    run_dir = RunDir(tmp_path)
    make(run_dir.status_file("gateway"))
    make(run_dir.pid_file("gateway"))
    assert run_dir.figures("gateway") == {}
    assert run_dir.pid("gateway") is None


def test_status_shows_who_is_dead(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_dir = RunDir(tmp_path)
    udp, restarts = ["127.0.0.1:1", "127.0.0.1:2"], {"replica-0": 3}
    run_dir.note(FLEET, {"pid": os.getpid(), "started": 0, "url": None, "udp": udp, "restarts": restarts})
    run_dir.note_pid(replica_name(0), os.getpid())
    run_dir.note(replica_name(0), {"packets_in": 5, "packets_out": 6, "bytes_out": 7, "requests": 8, "refusals": 9})
    assert main(["status", "--run-dir", str(tmp_path)]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[2].split() == ["replica-0", str(os.getpid()), "3", "5", "6", "0.0", "8", "9"]
    assert table[3].split() == ["replica-1", "dead", "0"]
    assert table[4].split() == ["replicas", "3", "5", "6", "0.0", "8", "9"]
    assert main(["status", "--run-dir", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(each["name"], each["pid"]) for each in told["processes"]] == [
        ("replica-0", os.getpid()),
        ("replica-1", None),
    ]


def test_status_tells_of_the_gateway_what_it_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_dir = RunDir(tmp_path)
    run_dir.note(FLEET, {"pid": os.getpid(), "started": 0, "url": "http://127.0.0.1:8080/", "udp": [], "restarts": {}})
    run_dir.note_pid("gateway", os.getpid())
    assert main(["status", "--run-dir", str(tmp_path)]) == 0
    run_dir.note("gateway", {"live": 2, "accepted": 9, "completed": 6, "failed": 0, "reset": 1, "failovers": 3})
    assert main(["status", "--run-dir", str(tmp_path)]) == 0
    _, _, nothing, _, _, row = capsys.readouterr().out.splitlines()
    assert nothing.split() == ["gateway", str(os.getpid()), "0"]
    assert row.endswith("  0    live 2, accepted 9, completed 6, failed 0, reset 1, failovers 3")


def test_status_warns_of_certificates_that_begin_later(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_dir, now = RunDir(tmp_path), int(time.time())
    run_dir.note(FLEET, {"pid": os.getpid(), "started": 0, "url": None, "udp": ["127.0.0.1:1"], "restarts": {}})
    for begins, count in ((now + 7200, 1), (now - 7200, 0)):
        keys = {"epoch": "00000001", "certificate_begins": begins, "certificate_ends": begins + 30 * 86_400}
        run_dir.note(replica_name(0), {"keys": keys})
        assert main(["status", "--run-dir", str(tmp_path)]) == 0
        assert capsys.readouterr().out.count("WARNING: replica-0: the certificate of epoch 00000001 begins ") == count


def test_status_shows_the_newest_epoch_and_warns_where_replicas_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir, now = RunDir(tmp_path), int(time.time())
    udp = ["127.0.0.1:1", "127.0.0.1:2"]
    run_dir.note(FLEET, {"pid": os.getpid(), "started": 0, "url": None, "udp": udp, "restarts": {}})
    keys = {"newest": "00000001", "newest_begins": now - 7200, "epochs": 2}
    for index in range(2):
        run_dir.note_pid(replica_name(index), os.getpid())
        run_dir.note(replica_name(index), {"keys": keys})
    assert main(["status", "--run-dir", str(tmp_path)]) == 0
    assert "keys: the newest epoch is 00000001 (in force for 2 h) of 2\n" in capsys.readouterr().out
    run_dir.note(replica_name(1), {"keys": {"newest": "00000002", "newest_begins": now + 100_000, "epochs": 3}})
    assert main(["status", "--run-dir", str(tmp_path)]) == 0
    warned = capsys.readouterr().out
    assert "WARNING: replicas have different newest epochs (replica-0: 00000001 (in force for 2 h) of 2; " in warned
    assert re.search(r"replica-1: 00000002 \(in force in \d+ s\) of 3\)", warned)


def test_progress_names_the_replica_at_work() -> None:
    figures: dict[str, int | str] = {"replica": "127.0.0.1:8443", "failovers": 2}
    assert line(50_000_000, 100_000_000, 0.5, figures) == (
        "[============            ]  50%     50.0 MB   100.0 MB/s  replica 127.0.0.1:8443, failovers: 2"
    )
    assert line(1_000_000, None, 0.0, {}).split() == ["1.0", "MB", "1000.0", "MB/s", "replica", "?"]
    assert "100%" in line(0, 0, 1.0, figures)
