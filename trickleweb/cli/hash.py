"""Print the hashes of a folder's files, as a manifest for `--manifest` on all machines that serve copies of it.

The lines are sorted by folder and name, so that two copies can be compared: trickleweb hash DIR | diff MANIFEST -
"""

from __future__ import annotations

import argparse
import sys
import time

from trickles.command import Parser
from trickles.printable import one_line
from trickleweb.cli.site_options import checked_directory
from trickleweb.files import Hasher
from trickleweb.files.digests import Hashes, Progress
from trickleweb.files.manifest import HEADER, manifest_line
from trickleweb.files.stamps import FileStamp
from trickleweb.files.warm import warm


def add_arguments(parser: Parser) -> None:
    parser.add_argument("directory", metavar="DIR", help="the folder to hash")


def run(args: argparse.Namespace) -> int:
    """Hash and print one file after another; return 1 if some could not be read, or were written meanwhile."""
    hasher, found, lost = Hasher(time.time_ns), list[tuple[int, Hashes]](), list[str]()

    def hash_file(descriptor: int, stamp: FileStamp, progress: Progress) -> None:
        found.append((stamp.size_bytes, hasher.compute(descriptor, stamp, progress)))

    def failed(path: str, error: Exception) -> None:
        lost.append(path)
        print(one_line(f"trickleweb hash: {path} is left out: {error}"), file=sys.stderr)

    print(HEADER)
    for progress in warm(checked_directory(args), hash_file, above_bytes=-1, failed=failed):
        print(manifest_line(progress.path, *found.pop()))
    return 1 if lost else 0
