"""The command `trickles`: one module for each of its subcommands, imported only when it is the one that runs.

This module itself imports next to nothing: an interrupt while the rest is imported, as at any later time, is an exit
code and no traceback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from trickles.cli.parser import Parser

# name -> (module, what it does in a few words); the module has what `Command` says
COMMANDS: dict[str, tuple[str, str]] = {
    "attack": ("trickles.cli.attack", "attack a replica of your own, and show what that gains"),
    "dump": ("trickles.cli.dump", "show datagrams, one line each"),
    "gateway": ("trickles.cli.gateway", "lead TCP connections to fleets"),
    "keys": ("trickles.cli.keys", "make, rotate and show the keys of a fleet"),
    "run": ("trickles.cli.run", "run a command with a gateway of its own"),
}
OK, FAILED, USAGE = 0, 1, 2
INTERRUPTED = 130  # as a shell says it: 128 + SIGINT


class Command(Protocol):
    """What the module of a subcommand has: its docstring is the help's text."""

    __doc__: str | None

    def add_arguments(self, parser: Parser) -> None:
        """Declare the subcommand's arguments."""

    def run(self, args: object) -> int:
        """Do it; the exit code. TricklesError and OSError become one line on stderr, and exit code 1."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `trickles` with these arguments (the process's own by default); the exit code: 0, 1 failed, 2 misused."""
    try:
        return _main(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:
        return INTERRUPTED


def _main(words: list[str]) -> int:
    from trickles.cli.parser import one_line
    from trickles.drivers.bookkeeping import hold_standard_descriptors
    from trickles.errors import TricklesError

    hold_standard_descriptors()
    chosen = next((word for word in words if not word.startswith("-")), None)
    args = build_parser(chosen).parse_args(words)
    try:
        code = command(args.command).run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # `trickles ... | head`: whoever read has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (TricklesError, OSError) as exc:
        print(f"trickles {args.command}: {one_line(exc)}", file=sys.stderr)
        return FAILED
    return code


def build_parser(chosen: str | None = None) -> Parser:
    """The parser of all subcommands, of which only the chosen one knows its arguments."""
    from trickles.cli.parser import Parser, VersionAction

    parser = Parser(prog="trickles", description="Servers that keep nothing about their clients.")
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
