"""Command lines of `trickles` and `trickleweb`: each subcommand is a module, imported only when it runs.

Its docstring is the help text, `add_arguments` declares its options, and `run` returns the exit code: 0, 1 for a
failure, 2 for misuse. Every error is printed as one line.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, Protocol, cast

from trickles.drivers.addresses import Address
from trickles.drivers.bookkeeping import hold_standard_descriptors
from trickles.errors import TricklesError
from trickles.printable import one_line

FAILED, MISUSED = 1, 2
LEAST_SECONDS, MOST_SECONDS = 0.05, 3600
Commands = Mapping[str, tuple[str, str]]  # name -> (module, summary)


class CommandFailed(TricklesError):
    """The command failed; the text says why, in one line."""


class CommandMisused(CommandFailed):
    """An argument that cannot be meant: exit code 2, as for wrong options."""


class Command(Protocol):
    """The module of a subcommand."""

    __doc__: str | None

    def add_arguments(self, parser: Parser) -> None: ...

    def run(self, args: argparse.Namespace) -> int:
        """Run the command and return its exit code; TricklesError, WebError and OSError are printed and give 1."""


def run_command(
    program: str,
    commands: Commands,
    build_parser: Callable[[str | None], Parser],
    words: list[str],
    errors: tuple[type[Exception], ...] = (),
) -> int:
    """Run `program` with these words and return its exit code; `errors` are printed as one line too."""
    hold_standard_descriptors()
    chosen = next((word for word in words if not word.startswith("-")), None)
    parser = build_parser(chosen)
    args, strange = parser.parse_known_args(words)
    if strange:
        text = one_line(" ".join(strange))
        parser.exit(MISUSED, f"{program}: unrecognized arguments: {text} (see {program} {args.command} --help)\n")
    try:
        code = module_of(commands, args.command).run(args)
        with suppress(ValueError):  # it was closed: a program that was served may do that
            sys.stdout.flush()
    except BrokenPipeError:  # `trickles ... | head`: the reader has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as exc:
        if not isinstance(exc, (TricklesError, OSError, *errors)):
            raise
        print(f"{program} {args.command}: {one_line(exc)}", file=sys.stderr)
        return MISUSED if isinstance(exc, CommandMisused) else FAILED
    return code


def module_of(commands: Commands, name: str) -> Command:
    """Import and return the module of a subcommand."""
    return cast("Command", import_module(commands[name][0]))


def parser_of(program: str, description: str, commands: Commands, chosen: str | None) -> Parser:
    """Return the parser of all subcommands; only that of the chosen one has arguments."""
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
    """An ArgumentParser without abbreviated options, whose errors are one line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter, **options})

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {one_line(message)} (see {self.prog} --help)\n")


class VersionAction(argparse.Action):
    """Prints the version of the installed distribution and ends the program; looks it up only then."""

    def __init__(self, option_strings: Sequence[str], dest: str, **_: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"{parser.prog} {version()}")
        parser.exit()


def version() -> str:
    """Return the version of the installed distribution, or `unknown` in a tree that is not installed."""
    from importlib import metadata  # slow to import, and rarely needed

    try:
        return metadata.version("trickles")
    except metadata.PackageNotFoundError:
        return "unknown"


def reporter(command: str) -> Callable[[str], None]:
    """Return a function that prints a text as one line on stderr, after the name of that subcommand of `trickles`."""
    return lambda text: print(f"trickles {command}: {one_line(text)}", file=sys.stderr, flush=True)


def make_absolute(args: argparse.Namespace, names: Iterable[str]) -> None:
    """Make these paths absolute: a program may change the working directory, and somebody may remove it.

    What was not given stays None, and `-` and URLs stay as they are.
    """
    for name in names:
        given = getattr(args, name)
        if given is not None and str(given) != "-" and "://" not in str(given):
            setattr(args, name, type(given)(Path(given).absolute()))


def address(text: str) -> Address:
    """Read an argument `HOST:PORT` or `[IPV6]:PORT`; an empty host means all addresses."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not (port.isascii() and port.isdecimal()) or (":" in host and not bracketed):
        raise argparse.ArgumentTypeError(f"not HOST:PORT: {text!r}")
    if len(port) > 5 or int(port) > 65_535:
        raise argparse.ArgumentTypeError(f"a port is 0 to 65535: {text!r}")
    return host[1:-1] if bracketed else host, int(port)


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return a type for arguments: an integer in ASCII digits from `least` to `most`."""

    def read(text: str) -> int:
        value = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
        if value is None or not least <= value <= most:
            raise argparse.ArgumentTypeError(f"not a whole number from {least} to {most}: {text!r}")
        return value

    return read


def seconds(text: str) -> float:
    """Read an argument in seconds, from 0.05 to an hour, with up to three decimals."""
    value = float(text) if re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text, re.ASCII) else 0.0
    if not LEAST_SECONDS <= value <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"not a number of seconds from {LEAST_SECONDS} to {MOST_SECONDS}: {text!r}")
    return value


def seconds_or_never(text: str) -> float:
    """Read an argument in seconds, as `seconds`; 0 means never."""
    return 0.0 if text == "0" else seconds(text)
