"""The tree of files that the HTTP benchmarks ask for."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from benchmarks.support.payload import Payload, make_payload

SMALL_TEXT = b"Hello, world\n"  # 13 bytes
MIDDLE_BYTES = 10_000


@dataclass(frozen=True, slots=True)
class Site:
    """A folder with a small file, one of 10 kB and a large one."""

    root: Path
    small: Payload
    middle: Payload
    bulk: Payload


def make_site(root: Path, bulk_bytes: int) -> Site:
    """Write the files; the folder becomes readable for servers that change their user."""
    root.chmod(0o755)
    small = root / "small.txt"
    small.write_bytes(SMALL_TEXT)
    return Site(
        root,
        Payload(small, len(SMALL_TEXT), hashlib.sha256(SMALL_TEXT).hexdigest()),
        make_payload(root / "middle.bin", MIDDLE_BYTES),
        make_payload(root / "bulk.bin", bulk_bytes),
    )
