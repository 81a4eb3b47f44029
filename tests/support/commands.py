"""The project's own command lines in a document, and whether their options exist."""

import re
import shlex
from collections.abc import Iterator

from trickles.cli import build_parser as trickles_parser
from trickleweb.cli import build_parser as trickleweb_parser

_COMMAND = re.compile(r"^(?:    |\$ |> )*(?:\.venv/bin/)?((?:trickles|trickleweb) [a-z].*)$", re.MULTILINE)
_PARSERS = {"trickles": trickles_parser, "trickleweb": trickleweb_parser}
_ENDS = ("#", "|", "&", "&&", ";", ">", "2>")


def commands(document: str) -> Iterator[list[str]]:
    """The words of each command line that begins with one of the programs; a backslash goes on with the next line."""
    for found in _COMMAND.finditer(re.sub(r"\\\n\s*", "", document)):
        lexer = shlex.shlex(found[1], posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = list[str]()
        for word in lexer:
            if word in _ENDS:
                break
            words.append(word)
        yield words


def check(words: list[str]) -> None:
    """Parse a command line as the program would; SystemExit when it would refuse."""
    program, *rest = words
    _PARSERS[program](rest[0]).parse_args(rest)
