"""The two programs of a demonstration: `trickleweb serve`, and a client that has never heard of Trickles."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from trickles.command import CommandFailed
from trickleweb.cli.demo.fetch import SILENCE_SECONDS
from trickleweb.cli.rundir import FLEET, RunDir, replica_name
from trickleweb.cli.tied import tie
from trickleweb.cli.warmstart import python_module

BLOCK_BYTES = 1 << 20


def write_noise(path: Path, size_bytes: int) -> str:
    """Write that many bytes, none of them sparse; their sha256 in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for start in range(0, size_bytes, BLOCK_BYTES):
            block = hashlib.shake_128(start.to_bytes(8, "big")).digest(min(BLOCK_BYTES, size_bytes - start))
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """The sha256 of a file in hexadecimal, or `nothing` if there is no such file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return "nothing"


_GRACE = 10.0  # seconds to end in when asked to
_HASH_SECONDS, _LOOK_SECONDS = 60.0, 0.05

Process = subprocess.Popen[bytes]


@contextmanager
def fleet(site: Path, run_dir: RunDir, replicas: int, log: Path) -> Iterator[str]:
    """Serve a folder on free ports; yields the URL. `CommandFailed` with what the fleet said if it does not start."""
    where = ["--listen", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--run-dir", str(run_dir.path)]
    words = python_module("trickleweb", "serve", *where, "--replicas", str(replicas), "--", str(site))
    with log.open("wb") as told, started(words, stdout=subprocess.PIPE, stderr=told) as process:
        assert process.stdout is not None
        if not process.stdout.readline().endswith(b"\n"):
            process.wait()
            raise CommandFailed(f"the fleet did not start: {last_line(log)}")
        wait_until_hashed(run_dir)
        yield str(run_dir.figures(FLEET).get("url"))


def wait_until_hashed(run_dir: RunDir) -> None:
    """Wait, a minute at most, for the hash that makes the file's ETag: a replica killed meanwhile begins it anew."""
    give_up = time.monotonic() + _HASH_SECONDS
    while time.monotonic() < give_up and not run_dir.figures(replica_name(0)).get("hashed"):
        time.sleep(_LOOK_SECONDS)


@contextmanager
def started(words: Sequence[str], *, stdout: int | None = None, stderr: IO[bytes]) -> Iterator[Process]:
    """A process that is asked to end, then made to, when its block is left; it never outlives this one."""
    process: Process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        preexec_fn=tie(),  # noqa: PLW1509  # no threads here
        process_group=0,  # a Ctrl-C is for this process, which ends the others itself
    )
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def client_words(choice: str, url: str, target: Path, rate_bytes: int) -> tuple[str, list[str]]:
    """The client's name and its command line; `CommandFailed` if curl is demanded and missing."""
    curl = shutil.which("curl") if choice in {"auto", "curl"} else None
    if curl is not None:
        options = ["-q", "--noproxy", "*", "--fail", "--silent", "--show-error", "--no-buffer"]
        silence = ["--speed-limit", "1", "--speed-time", str(SILENCE_SECONDS)]
        return "curl", [curl, *options, *silence, "--limit-rate", str(rate_bytes), "--output", str(target), url]
    if choice == "curl":
        raise CommandFailed("there is no curl here: say --client python")
    return "python", python_module("trickleweb.cli.demo.fetch", url, str(target), str(rate_bytes))


def last_line(log: Path) -> str:
    """The last thing a program said."""
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
