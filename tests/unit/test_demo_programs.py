"""What `trickleweb demo` works with: its options, its noise, and clients that know nothing of Trickles."""

import argparse
import hashlib
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from trickles.command import CommandFailed
from trickleweb.cli import main
from trickleweb.cli.demo import seconds, size
from trickleweb.cli.demo.fetch import main as fetch
from trickleweb.cli.demo.programs import BLOCK_BYTES, client_words, last_line, sha256_of, write_noise

FAST = str(1 << 40)


@pytest.mark.parametrize(("text", "expected"), [("1", 1), ("20k", 20_000), ("300M", 300_000_000), ("1G", 10**9)])
def test_sizes(text: str, expected: int) -> None:
    assert size(text) == expected


@pytest.mark.parametrize("text", ["", "0", "0G", "-1", "1T", "1.5G", "1 G", "٣", "1" * 16])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="not a size"):
        size(text)


@pytest.mark.parametrize(("text", "expected"), [("0", 0), ("1", 1), ("0.25", 0.25)])
def test_times(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "-1", "1e3", "nan", "inf", ".5"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="not a number of seconds"):
        seconds(text)


@pytest.mark.parametrize("size_bytes", [1, BLOCK_BYTES, 2 * BLOCK_BYTES + 5])
def test_noise_has_its_size_and_hash(tmp_path: Path, size_bytes: int) -> None:
    told = write_noise(tmp_path / "noise", size_bytes)
    data = (tmp_path / "noise").read_bytes()
    assert len(data) == size_bytes
    assert told == sha256_of(tmp_path / "noise") == hashlib.sha256(data).hexdigest()


def test_no_two_blocks_of_noise_are_alike(tmp_path: Path) -> None:
    write_noise(tmp_path / "noise", 3 * BLOCK_BYTES)
    data = (tmp_path / "noise").read_bytes()
    assert len({data[start : start + BLOCK_BYTES] for start in range(0, len(data), BLOCK_BYTES)}) == 3


def test_a_file_that_is_not_there_equals_none() -> None:
    assert sha256_of(Path("/nonexistent")) == "nothing"


def test_too_little_room_is_said_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--size", "999999999G", "--directory", str(tmp_path)]) == 1
    assert "use --size" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_curl_is_taken_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    curl = tmp_path / "curl"
    curl.write_text("#!/bin/sh\n")
    curl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    name, words = client_words("auto", "http://host/", Path("to"), 5)
    assert (name, words[0], words[-5:]) == ("curl", str(curl), ["--limit-rate", "5", "--output", "to", "http://host/"])
    assert client_words("python", "http://host/", Path("to"), 5)[0] == "python"


def test_and_a_plain_client_where_it_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    name, words = client_words("auto", "http://host/", Path("to"), 5)
    assert (name, words[-3:]) == ("python", ["http://host/", "to", "5"])
    with pytest.raises(CommandFailed, match="curl is not installed"):
        client_words("curl", "http://host/", Path("to"), 5)


def test_the_last_line_of_a_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"one\ntwo\xff\n\n")
    assert last_line(tmp_path / "log") == "two�"
    (tmp_path / "log").write_bytes(b"")
    assert last_line(tmp_path / "log") == "no output"


CONTENT = os.urandom(300_000)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/nothing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT if self.path == "/whole" else CONTENT[:1000])
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_plain_client_downloads(server: str, tmp_path: Path) -> None:
    assert fetch([f"{server}/whole", str(tmp_path / "file"), FAST]) == 0
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("path", ["/part", "/nothing"])
def test_the_plain_client_notices_what_is_wrong(
    server: str, tmp_path: Path, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch([server + path, str(tmp_path / "file"), FAST]) == 1
    assert capsys.readouterr().err.startswith("fetch: ")


def test_the_plain_client_without_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fetch(["http://127.0.0.1:1/x", str(tmp_path / "file"), FAST]) == 1
    assert "refused" in capsys.readouterr().err
