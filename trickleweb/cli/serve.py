"""Serve a folder through several replicas, any of which may be killed at any time.

Starts the replicas, each on a UDP port of its own, and a gateway where browsers, curl and other HTTP clients reach
them. A process that exits is restarted. --run-dir holds the pid files, figures, the fleet's public identity
(server.pub, for `trickles gateway --server-key`), and its keys unless --keyring names others.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence

from trickles.command import Parser, make_absolute
from trickleweb.cli.app_options import access_words, add_access_arguments, add_admin_argument, admin_words
from trickleweb.cli.fleet import Supervisor
from trickleweb.cli.fleet_options import PLACES, add_fleet_arguments, fleet_options
from trickleweb.cli.rundir import RunDir
from trickleweb.cli.site_options import (
    add_site_arguments,
    checked_directory,
    checked_fallback,
    loaded_manifest,
    site_words,
)


def add_arguments(parser: Parser) -> None:
    add_site_arguments(parser)
    add_fleet_arguments(parser)
    add_admin_argument(parser)
    add_access_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT."""
    directory = checked_directory(args)
    checked_fallback(args)
    loaded_manifest(args, print)
    make_absolute(args, (*PLACES, "directory", "manifest"))
    digests = RunDir(args.run_dir).digests

    def words(index: int) -> Sequence[str]:
        warm = ["--warm"] if index == 0 else []
        return [*warm, *admin_words(args, index), *access_words(args), "--digests", str(digests), *site_words(args)]

    options = fleet_options(args, command="serve", what=str(directory), words=words)
    asyncio.run(Supervisor(options).serve())
    return 0
