"""The command `trickles`; its subcommands are modules of this package.

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
    "attack": ("trickles.cli.attack", "attack a replica of your own, and show what that gains"),
    "dump": ("trickles.cli.dump", "show datagrams, one line each"),
    "gateway": ("trickles.cli.gateway", "lead TCP connections to fleets"),
    "keys": ("trickles.cli.keys", "make, rotate and show the keys of a fleet"),
    "run": ("trickles.cli.run", "run a command with a gateway of its own"),
}
INTERRUPTED = 130  # as a shell says it: 128 + SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Run `trickles` with these arguments (the process's own by default); the exit code: 0, 1 failed, 2 misused."""
    try:
        from trickles.command import run_command

        words = list(sys.argv[1:] if argv is None else argv)
        return run_command("trickles", COMMANDS, build_parser, words)
    except KeyboardInterrupt:
        return INTERRUPTED


def build_parser(chosen: str | None = None) -> Parser:
    """The parser of all subcommands, of which only the chosen one knows its arguments."""
    from trickles.command import parser_of

    return parser_of("trickles", "Servers that keep nothing about their clients.", COMMANDS, chosen)


def command(name: str) -> Command:
    """The module of a subcommand, imported now if it was not before."""
    from trickles.command import module_of

    return module_of(COMMANDS, name)
