"""`trickleweb get`: which replicas a URL leads to, and what is told when none answers."""

import asyncio
import io
import os
import socket
from contextlib import closing
from pathlib import Path

import pytest

from trickles.client import ClientConfig
from trickles.command import CommandFailed
from trickles.drivers.stream import connect
from trickles.limits import Limits
from trickleweb.cli import build_parser, main
from trickleweb.cli.get import _answered, fleet_of
from trickleweb.cli.rundir import DEFAULT, FLEET, RunDir, is_alive


def noted(folder: Path, pid: int) -> None:
    """A fleet under the usual run directory of a folder."""
    run_dir = RunDir(folder / DEFAULT)
    run_dir.path.mkdir()
    run_dir.note(FLEET, {"pid": pid, "url": "http://127.0.0.1:8080/", "udp": ["127.0.0.1:8443"]})


@pytest.mark.parametrize(
    ("netloc", "words", "found"),
    [
        ("127.0.0.1:8080", [], True),
        ("localhost:8080", [], True),
        ("127.0.0.1:8081", [], False),
        ("example.org", [], False),
        ("127.0.0.1:8080", ["--replica", "127.0.0.1:1"], False),
        ("127.0.0.1:8080", ["--server-key", "server.pub"], False),
    ],
)
def test_the_fleet_of_the_gateway_that_the_url_names_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, netloc: str, words: list[str], found: bool
) -> None:
    noted(tmp_path, os.getpid())
    monkeypatch.chdir(tmp_path)
    args = build_parser("get").parse_args(["get", f"http://{netloc}/", *words])
    assert fleet_of(netloc, args) == (Path(DEFAULT) if found else None)


def test_a_fleet_that_is_dead_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted(tmp_path, -1)
    monkeypatch.chdir(tmp_path)
    assert fleet_of("127.0.0.1:8080", build_parser("get").parse_args(["get", "http://127.0.0.1:8080/"])) is None


def test_a_fleet_of_somebody_else_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted(tmp_path, os.getpid())
    monkeypatch.chdir(tmp_path)
    if os.geteuid() == 0:
        os.chown(".run", 12_345, 12_345)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12_345)
    assert fleet_of("127.0.0.1:8080", build_parser("get").parse_args(["get", "http://127.0.0.1:8080/"])) is None


@pytest.mark.parametrize("pid", [None, "1", -1, 0, 1 << 80])
def test_what_is_no_pid_is_not_alive(pid: object) -> None:
    assert not is_alive(pid)
    assert is_alive(os.getpid())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["http://[::1"], "not a URL of the form http://HOST[:PORT]/PATH: http://[::1"),
        (["http://h/a%00b"], "the URL's last name cannot name a file: use -o FILE"),
        (["http://h/a%0ab"], "the URL's last name cannot name a file: use -o FILE"),
        (["http://h/%2e%2e"], "the URL's last name cannot name a file: use -o FILE"),
        (["http://h/a%2F..%2F.."], "the URL's last name cannot name a file: use -o FILE"),
        (["http://h/", "-o", "/"], "/ is a folder: use -o FILE"),
    ],
)
def test_what_cannot_be_fetched_or_kept_is_told_before_anything_is_sent(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["get", "--replica", "127.0.0.1:1", *words]) == 1
    assert capsys.readouterr().err == f"trickleweb get: {told}\n"


def test_who_did_not_answer_is_told() -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as silent:
        silent.bind(("127.0.0.1", 0))
        host, port = silent.getsockname()
        config = ClientConfig(limits=Limits(give_up_after=1))

        async def ask() -> None:
            stream = await connect([(host, port)], config=config)
            try:
                await _answered(stream, [(host, port)], io.StringIO(), by_url=False)
            finally:
                stream.close()

        with pytest.raises(CommandFailed, match=f"no answer to the handshake: {host}:{port} .UDP; a gateway is no"):
            asyncio.run(ask())
