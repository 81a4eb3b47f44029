"""Peer: an upload by tuspy, as in `tus_clients`, in requests of 256 MB: it holds each in memory."""

import sys
from pathlib import Path

from tusclient.client import TusClient

CHUNK_BYTES = 1 << 28


def main(file: str, endpoint: str, state: Path) -> None:
    options = {"chunk_size": CHUNK_BYTES, "retries": 30, "retry_delay": 1}
    client = TusClient(endpoint)
    if state.exists():
        uploader = client.uploader(file, url=state.read_text(), **options)
    else:
        uploader = client.uploader(file, **options)
        uploader.set_url(uploader.create_url())
        state.write_text(uploader.url or "")
    uploader.upload()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
