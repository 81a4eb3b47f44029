"""A plain HTTP client for machines without curl: `python -m trickleweb.cli.demo.fetch URL FILE BYTES_PER_SECOND`.

It does not use Trickles. Exit code 0: complete; 1: the server or the connection failed, reported on stderr.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

_BLOCK_BYTES = 1 << 16
SILENCE_SECONDS = 30  # without a byte, then the client gives up


def fetch(url: str, path: Path, rate_bytes: int) -> None:
    """Download to `path` at most at that rate; raise OSError or HTTPException when it fails."""
    place = urlsplit(url)
    with closing(HTTPConnection(place.netloc, timeout=SILENCE_SECONDS)) as connection:
        connection.request("GET", place.path or "/")
        with closing(connection.getresponse()) as response:
            if response.status != 200:
                raise HTTPException(f"the server answers {response.status} {response.reason}")
            _save(response, path, rate_bytes)


def _save(response: HTTPResponse, path: Path, rate_bytes: int) -> None:
    begun, received, wanted = time.monotonic(), 0, response.length
    with path.open("wb", buffering=0) as file:
        while block := response.read1(_BLOCK_BYTES):
            file.write(block)
            received += len(block)
            time.sleep(max(0.0, begun + received / rate_bytes - time.monotonic()))
    if wanted is not None and received != wanted:
        raise HTTPException(f"{received} of {wanted} bytes arrived")


def main(argv: Sequence[str]) -> int:
    """Download as the arguments say; return the exit code."""
    url, path, rate = argv
    try:
        fetch(url, Path(path), int(rate))
    except (OSError, HTTPException) as exc:
        print(f"fetch: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
