"""The command `trickles`; its subcommands are modules of this package.

This module imports next to nothing itself, so that an interrupt during the imports gives an exit code too, not a
traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trickles.command import Command, Parser

# name -> (module, summary); the module is a `Command`
COMMANDS: dict[str, tuple[str, str]] = {
    "attack": ("trickles.cli.attack", "attack a replica of your own, and measure the gain"),
    "dump": ("trickles.cli.dump", "show datagrams, one line each"),
    "gateway": ("trickles.cli.gateway", "forward TCP connections to fleets"),
    "keys": ("trickles.cli.keys", "create, rotate and show the keys of a fleet"),
    "run": ("trickles.cli.run", "run a command through a gateway of its own"),
}
INTERRUPTED = 130  # as in shells: 128 + SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Run `trickles` and return its exit code: 0, 1 for a failure, 2 for misuse; `argv` is sys.argv[1:] by default."""
    try:
        from trickles.command import run_command

        words = list(sys.argv[1:] if argv is None else argv)
        return run_command("trickles", COMMANDS, build_parser, words)
    except KeyboardInterrupt:
        return INTERRUPTED


def build_parser(chosen: str | None = None) -> Parser:
    """Return the parser of all subcommands; only that of the chosen one has arguments."""
    from trickles.command import parser_of

    return parser_of("trickles", "A transport whose servers keep no state of their clients.", COMMANDS, chosen)


def command(name: str) -> Command:
    """Import and return the module of a subcommand."""
    from trickles.command import module_of

    return module_of(COMMANDS, name)
