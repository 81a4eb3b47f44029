"""The two programs of a demonstration: `trickleweb serve`, and a client that has never heard of Trickles."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from trickleweb.cli.parser import CommandFailed
from trickleweb.cli.rundir import FLEET, RunDir
from trickleweb.cli.tied import tie

_GRACE = 10.0  # seconds to end in when asked to

Process = subprocess.Popen[bytes]


@contextmanager
def fleet(site: Path, run_dir: RunDir, replicas: int, log: Path) -> Iterator[str]:
    """Serve a folder on free ports; yields the URL. `CommandFailed` with what the fleet said if it does not start."""
    where = ["--listen", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--run-dir", str(run_dir.path)]
    words = [sys.executable, "-m", "trickleweb", "serve", *where, "--replicas", str(replicas), "--", str(site)]
    with log.open("wb") as told, started(words, stdout=subprocess.PIPE, stderr=told) as process:
        assert process.stdout is not None
        if not process.stdout.readline().endswith(b"\n"):
            process.wait()
            raise CommandFailed(f"the fleet did not start: {last_line(log)}")
        yield str(run_dir.figures(FLEET).get("url"))


@contextmanager
def started(words: Sequence[str], *, stdout: int | None = None, stderr: object = None) -> Iterator[Process]:
    """A process that is asked to end, then made to, when its block is left; it never outlives this one."""
    process: Process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,  # type: ignore[arg-type]  # a file, as the annotation of Popen would say at length
        preexec_fn=tie(),
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
        return "curl", [curl, *options, "--limit-rate", str(rate_bytes), "--output", str(target), url]
    if choice == "curl":
        raise CommandFailed("there is no curl here: say --client python")
    return "python", [sys.executable, "-m", "trickleweb.cli.demo.fetch", url, str(target), str(rate_bytes)]


def last_line(log: Path) -> str:
    """The last thing a program said."""
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
