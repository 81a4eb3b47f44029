"""The two processes of a demonstration: `trickleweb serve`, and a client that does not know Trickles."""

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
    """Write that many bytes of noise; return their sha256 in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for start in range(0, size_bytes, BLOCK_BYTES):
            block = hashlib.shake_128(start.to_bytes(8, "big")).digest(min(BLOCK_BYTES, size_bytes - start))
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file in hexadecimal, `nothing` if there is no such file."""
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
    """Serve a folder on free ports and yield the URL; raise `CommandFailed` with the fleet's last line if it does not
    start.
    """
    where = ["--listen", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--run-dir", str(run_dir.path)]
    words = python_module("trickleweb", "serve", *where, "--replicas", str(replicas), "--", str(site))
    with log.open("wb") as errors, started(words, stdout=subprocess.PIPE, stderr=errors) as process:
        assert process.stdout is not None
        if not process.stdout.readline().endswith(b"\n"):
            process.wait()
            raise CommandFailed(f"the fleet did not start: {last_line(log)}")
        wait_until_hashed(run_dir)
        yield str(run_dir.figures(FLEET).get("url"))


def wait_until_hashed(run_dir: RunDir) -> None:
    """Wait up to a minute for the hash in the file's ETag: a replica killed before begins it again."""
    give_up = time.monotonic() + _HASH_SECONDS
    while time.monotonic() < give_up and not run_dir.figures(replica_name(0)).get("hashed"):
        time.sleep(_LOOK_SECONDS)


@contextmanager
def started(words: Sequence[str], *, stdout: int | None = None, stderr: IO[bytes]) -> Iterator[Process]:
    """Yield a process that is terminated, then killed, at the end of the block."""
    process: Process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        preexec_fn=tie(),  # noqa: PLW1509  # no threads here
        process_group=0,  # Ctrl-C reaches this process only, which ends the others
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
    """Return the client's name and command line; raise `CommandFailed` if curl is demanded and missing."""
    curl = shutil.which("curl") if choice in {"auto", "curl"} else None
    if curl is not None:
        options = ["-q", "--noproxy", "*", "--fail", "--silent", "--show-error", "--no-buffer"]
        silence = ["--speed-limit", "1", "--speed-time", str(SILENCE_SECONDS)]
        return "curl", [curl, *options, *silence, "--limit-rate", str(rate_bytes), "--output", str(target), url]
    if choice == "curl":
        raise CommandFailed("curl is not installed: use --client python")
    return "python", python_module("trickleweb.cli.demo.fetch", url, str(target), str(rate_bytes))


def last_line(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "no output"
