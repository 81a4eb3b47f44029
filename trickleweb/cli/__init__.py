"""The command `trickleweb`; its subcommands are modules of this package.

This module itself imports next to nothing: an interrupt while the rest is imported, as at any later time, is an exit
code and no traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trickles.command import Command, Parser

# name -> (module, what it does in a few words); the module has what `Command` says
COMMANDS: dict[str, tuple[str, str]] = {
    "serve": ("trickleweb.cli.serve", "serve a folder through several replicas and a gateway"),
    "run": ("trickleweb.cli.run", "serve a program through several replicas and a gateway"),
    "check": ("trickleweb.cli.check", "try whether a program's responses resume when replicas die"),
    "replica": ("trickleweb.cli.replica", "serve a folder or a program as one replica, without a supervisor"),
    "status": ("trickleweb.cli.status", "show what a fleet started by `serve` or `run` is doing"),
    "get": ("trickleweb.cli.get", "download a file over Trickles itself"),
    "demo": ("trickleweb.cli.demo", "download a large file while its replicas are killed"),
}
INTERRUPTED = 130  # as a shell says it: 128 + SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Run `trickleweb` with these arguments (the process's own by default); the exit code: 0, 1 failed, 2 misused."""
    try:
        from trickles.command import run_command
        from trickleweb.errors import WebError

        words = list(sys.argv[1:] if argv is None else argv)
        return run_command("trickleweb", COMMANDS, build_parser, words, (WebError,))
    except KeyboardInterrupt:
        return INTERRUPTED


def build_parser(chosen: str | None = None) -> Parser:
    """The parser of all subcommands, of which only the chosen one knows its arguments."""
    from trickles.command import parser_of

    return parser_of("trickleweb", "Web servers that keep nothing about their clients.", COMMANDS, chosen)


def command(name: str) -> Command:
    """The module of a subcommand, imported now if it was not before."""
    from trickles.command import module_of

    return module_of(COMMANDS, name)
