"""Downloads by curl, an unmodified client: speed, hash, and the longest silence on the way."""

import hashlib
import os
import subprocess
import time
from dataclasses import dataclass

READ_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Download:
    """One download; `silences` are the pauses between pieces as (when it began, seconds), the longest ones only."""

    status: int
    size_bytes: int
    sha256: str
    began: float  # monotonic seconds
    seconds: float
    silences: tuple[tuple[float, float], ...]
    complaint: str


def discard(url: str, timeout: float) -> tuple[int, int, float]:
    """Download to nowhere: (curl's exit status, bytes, seconds by curl's own clock)."""
    argv = ["curl", "-sS", "-o", os.devnull, "-m", str(timeout), "-w", "%{size_download} %{time_total}", url]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=timeout + 10)
    size, seconds = done.stdout.split()
    return done.returncode, int(size), float(seconds)


def download(url: str, timeout: float, notable_silence: float = 0.005) -> Download:
    """Download through a pipe, hash what comes, and note every silence of `notable_silence` seconds or more."""
    argv = ["curl", "-sS", "-N", "-m", str(timeout), url]
    digest, size, silences = hashlib.sha256(), 0, []
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    started = last = time.monotonic()
    try:
        while data := os.read(process.stdout.fileno(), READ_BYTES):
            now = time.monotonic()
            if now - last >= notable_silence:
                silences.append((last, now - last))
            size += len(data)
            digest.update(data)
            last = time.monotonic()
        _, complaint = process.communicate(timeout=timeout + 10)
    finally:
        process.kill()
        process.wait()
    text = complaint.decode(errors="replace").strip()
    return Download(process.returncode, size, digest.hexdigest(), started, last - started, tuple(silences), text)
