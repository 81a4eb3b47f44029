"""Command lines of `trickles` and `trickleweb`: a subcommand is a module, imported only when it is the one that runs.

Its docstring is the help's text, `add_arguments` declares its options, and `run` does it and returns the exit code: 0,
1 for what failed, 2 for misuse. All that can go wrong is said in one line.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, NoReturn, Protocol, cast

from trickles.drivers.addresses import Address
from trickles.drivers.bookkeeping import hold_standard_descriptors
from trickles.errors import TricklesError

FAILED, MISUSED = 1, 2
LEAST_SECONDS, MOST_SECONDS = 0.05, 3600
Commands = Mapping[str, tuple[str, str]]  # name -> (module, what it does in a few words)


class CommandFailed(TricklesError):
    """The command cannot do what it was asked for; the text says why, in one line."""


class CommandMisused(CommandFailed):
    """What the command was given cannot be what is meant: exit code 2, as for wrong options."""


class Command(Protocol):
    """The module of a subcommand."""

    __doc__: str | None

    def add_arguments(self, parser: Parser) -> None:
        """Declare the subcommand's arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; the exit code. TricklesError, WebError and OSError become one line on stderr, and exit code 1."""


def run_command(
    program: str,
    commands: Commands,
    build_parser: Callable[[str | None], Parser],
    words: list[str],
    errors: tuple[type[Exception], ...] = (),
) -> int:
    """Run `program` with these words; the exit code. `errors` of its own are said in one line, too."""
    hold_standard_descriptors()
    chosen = next((word for word in words if not word.startswith("-")), None)
    args = build_parser(chosen).parse_args(words)
    try:
        code = module_of(commands, args.command).run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # `trickles ... | head`: whoever read has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as exc:
        if not isinstance(exc, (TricklesError, OSError, *errors)):
            raise
        print(f"{program} {args.command}: {one_line(exc)}", file=sys.stderr)
        return MISUSED if isinstance(exc, CommandMisused) else FAILED
    return code


def module_of(commands: Commands, name: str) -> Command:
    """The module of a subcommand, imported now if it was not before."""
    return cast("Command", import_module(commands[name][0]))


def parser_of(program: str, description: str, commands: Commands, chosen: str | None) -> Parser:
    """The parser of all subcommands, of which only the chosen one knows its arguments."""
    parser = Parser(prog=program, description=description)
    parser.add_argument("--version", action=VersionAction)
    table = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    for name, (_, summary) in commands.items():
        module = module_of(commands, name) if name == chosen else None
        child = table.add_parser(name, help=summary, description=module.__doc__ if module else None)
        if module is not None:
            module.add_arguments(child)
    return parser


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that takes no abbreviated options, and says what is wrong in one line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter, **options})

    def error(self, message: str) -> NoReturn:
        """One line on stderr, then exit code 2."""
        self.exit(2, f"{self.prog}: {one_line(message)} (see {self.prog} --help)\n")


class VersionAction(argparse.Action):
    """Prints the version of the installed distribution, looked up only now, and ends the program."""

    def __init__(self, option_strings: Sequence[str], dest: str, **_: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"{parser.prog} {version()}")
        parser.exit()


def version() -> str:
    """The version of the installed distribution, or `unknown` in a tree that is not installed."""
    from importlib import metadata  # it takes long to import, and is nearly never needed

    try:
        return metadata.version("trickles")
    except metadata.PackageNotFoundError:
        return "unknown"


def one_line(message: object) -> str:
    """The text with whatever could break or forge a line of a terminal written as an escape."""
    text = str(message)
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def address(text: str) -> Address:
    """A type for an argument: `HOST:PORT` or `[IPV6]:PORT`; the host may be empty, for all addresses."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not (port.isascii() and port.isdecimal() and int(port) < 65_536) or (":" in host and not bracketed):
        raise argparse.ArgumentTypeError(f"not HOST:PORT: {text!r}")
    return host[1:-1] if bracketed else host, int(port)


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """A type for an argument: an integer in ASCII digits from `least` to `most`."""

    def read(text: str) -> int:
        value = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
        if value is None or not least <= value <= most:
            raise argparse.ArgumentTypeError(f"not a whole number from {least} to {most}: {text!r}")
        return value

    return read


def seconds(text: str) -> float:
    """A type for an argument: seconds, from 0.05 to an hour, with decimals if need be."""
    value = float(text) if re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text, re.ASCII) else 0.0
    if not LEAST_SECONDS <= value <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"not a number of seconds from {LEAST_SECONDS} to {MOST_SECONDS}: {text!r}")
    return value
