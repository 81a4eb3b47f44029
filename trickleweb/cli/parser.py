"""What the subcommands share about their command lines: errors in one line, addresses, whole numbers."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from trickleweb.errors import WebError

Address = tuple[str, int]
LEAST_SECONDS, MOST_SECONDS = 0.05, 3600


class CommandFailed(WebError):
    """The command cannot do what it was asked for; the text says why, in one line."""


class CommandMisused(CommandFailed):
    """What the command was given cannot be what is meant: exit code 2, as for wrong options."""


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
        """Print and end."""
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


def shown(place: Address) -> str:
    """An address as it is written: IPv6 hosts in brackets."""
    host, port = place
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


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
