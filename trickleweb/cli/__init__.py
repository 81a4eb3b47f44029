"""The command `trickleweb`: one module for each of its subcommands, imported only when it is the one that runs.

This module itself imports next to nothing: an interrupt while the rest is imported, as at any later time, is an exit
code and no traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from trickleweb.cli.parser import Parser

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
FAILED, MISUSED, INTERRUPTED = 1, 2, 130


class Command(Protocol):
    """What the module of a subcommand has: its docstring is the help's text."""

    __doc__: str | None

    def add_arguments(self, parser: Parser) -> None:
        """Declare the subcommand's arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; the exit code. WebError, TricklesError and OSError become one line on stderr, and exit code 1."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `trickleweb` with these arguments (the process's own by default); the exit code: 0, 1 failed, 2 misused."""
    try:
        return _main(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:
        return INTERRUPTED


def _main(words: list[str]) -> int:
    from trickles.drivers.bookkeeping import hold_standard_descriptors
    from trickles.errors import TricklesError
    from trickleweb.cli.parser import CommandMisused, one_line
    from trickleweb.errors import WebError

    hold_standard_descriptors()
    chosen = next((word for word in words if not word.startswith("-")), None)
    args = build_parser(chosen).parse_args(words)
    try:
        code = command(args.command).run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (WebError, TricklesError, OSError) as exc:
        print(f"trickleweb {args.command}: {one_line(exc)}", file=sys.stderr)
        return MISUSED if isinstance(exc, CommandMisused) else FAILED
    return code


def build_parser(chosen: str | None = None) -> Parser:
    """The parser of all subcommands, of which only the chosen one knows its arguments."""
    from trickleweb.cli.parser import Parser, VersionAction

    parser = Parser(prog="trickleweb", description="Web servers that keep nothing about their clients.")
    parser.add_argument("--version", action=VersionAction)
    table = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    for name, (_, summary) in COMMANDS.items():
        about = command(name).__doc__ if name == chosen else None
        child = table.add_parser(name, help=summary, description=about)
        if name == chosen:
            command(name).add_arguments(child)
    return parser


def command(name: str) -> Command:
    """The module of a subcommand, imported now if it was not before."""
    return cast("Command", import_module(COMMANDS[name][0]))
