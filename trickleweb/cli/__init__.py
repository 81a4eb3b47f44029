"""The command `trickleweb`; its subcommands are modules of this package.

This module imports next to nothing, so that an interrupt during the other imports is an exit code too, no traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trickles.command import Command, Parser

# name -> (module that is a `Command`, summary)
COMMANDS: dict[str, tuple[str, str]] = {
    "serve": ("trickleweb.cli.serve", "serve a folder through several replicas and a gateway"),
    "run": ("trickleweb.cli.run", "serve a program through several replicas and a gateway"),
    "hash": ("trickleweb.cli.hash", "print the hashes of a folder's files, for `--manifest`"),
    "check": ("trickleweb.cli.check", "test whether a program's responses resume when replicas die"),
    "replica": ("trickleweb.cli.replica", "serve a folder or a program as one replica, without a supervisor"),
    "status": ("trickleweb.cli.status", "show the state of a fleet started by `serve` or `run`"),
    "get": ("trickleweb.cli.get", "download a file over Trickles itself"),
    "demo": ("trickleweb.cli.demo", "download a large file while its replicas are killed"),
}
INTERRUPTED = 130  # 128 + SIGINT, as in shells


def main(argv: Sequence[str] | None = None) -> int:
    """Run `trickleweb` with these arguments (by default the process's own); return the exit code: 0, 1 failed, 2
    misused.
    """
    try:
        from trickles.command import run_command
        from trickleweb.errors import WebError

        words = list(sys.argv[1:] if argv is None else argv)
        return run_command("trickleweb", COMMANDS, build_parser, words, (WebError,))
    except KeyboardInterrupt:
        return INTERRUPTED


def build_parser(chosen: str | None = None) -> Parser:
    """Return the parser of all subcommands, of which only the chosen one has its arguments."""
    from trickles.command import parser_of

    return parser_of("trickleweb", "Web servers without state of their clients.", COMMANDS, chosen)


def command(name: str) -> Command:
    """Return the module of a subcommand, imported now if necessary."""
    from trickles.command import module_of

    return module_of(COMMANDS, name)
