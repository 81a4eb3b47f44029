"""Test whether responses resume: fetch each repeatedly, and kill a replica after a different packet each time.

The replicas are virtual ones in this process. Without --get, all GET routes without parameters are tested. For the
program `request.now` is constant and `request.entropy` repeats. If it uses other clocks or random numbers, its
responses differ from run to run: a short one still resumes, as its state holds it; a long one is cut off. Responses
that do not end, such as event streams, are tried as long as the bounds allow. Then separately loaded instances of the
program answer the same requests in turn, which finds state that it keeps in memory (not with --alone). A program that
calls os._exit gets an exception instead. The exit code is 1 if a response does not resume, breaks off by itself, has a
status of 400 or more that no --expect names, or depends on such state.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from trickles.command import CommandFailed, Parser, whole_number
from trickles.printable import one_line
from trickleweb.app import App
from trickleweb.application import Application
from trickleweb.asgi.outgoing import ProgramError
from trickleweb.bodies import Level
from trickleweb.cli.app_options import ProgramOptions, add_app_arguments, program_options, size
from trickleweb.cli.loading import load_program
from trickleweb.cli.twins import Session, remembered
from trickleweb.routing import Route
from trickleweb.routing.routes import flattened
from trickleweb.testing.killing import MOST_BOUNDARIES, ChaosBounds, Verdict, chaos, get


def paths_of(application: Application) -> tuple[list[str], list[str]]:
    """Return the GET paths without parameters, and the templates with some; each sorted, empty if unknown."""
    found = set(_own(application) if isinstance(application, App) else _foreign(getattr(application, "program", None)))
    plain = {path for path in found if "{" not in path and "<" not in path}
    return sorted(plain), sorted(found - plain)


def _own(app: App) -> Iterator[str]:
    for each in flattened(app.entries()):
        if isinstance(each, Route) and "GET" in each.methods:
            yield each.path


def _foreign(program: Any) -> Iterator[str]:
    """Yield Starlette's, FastAPI's or Flask's routes."""
    for route in getattr(program, "routes", None) or ():
        if "GET" in (getattr(route, "methods", None) or ()):
            yield str(route.path)
    url_map = getattr(program, "url_map", None)
    for rule in url_map.iter_rules() if url_map is not None else ():
        if "GET" in (rule.methods or ()):
            yield str(rule.rule)


_LEVELS = {
    Level.ADDRESSABLE: "1, by offset",
    Level.STEPPED: "2, from a cursor",
    Level.REPLAYED: "3, run again",
    None: "none",
}
_ROW = "{:<40} {:>6}  {:<8} {:<16} {:>8} {:>8} {:>6}"
_DIFFERENT = "    responses differ from run to run: use request.now and request.entropy"
_SHOWN_BREAKS = 3
_SECONDS, _LIMIT_BYTES, _MOST = 60, 64 << 20, 200


def add_arguments(parser: Parser) -> None:
    parser.add_argument("program", metavar="MODULE:ATTRIBUTE", help="the program to test, such as main:app")
    add_app_arguments(parser)
    parser.add_argument("--get", metavar="PATH", action="append", help="path and query to test (repeatable)")
    parser.add_argument("--header", metavar="LINE", action="append", default=[], help="send this field (repeatable)")
    parser.add_argument("--kills", metavar="N", type=whole_number(1, 10_000), default=MOST_BOUNDARIES, help=_KILLS)
    parser.add_argument(
        "--expect", metavar="STATUS", type=whole_number(400, 599), action="append", default=[], help=_EXPECT
    )
    parser.add_argument("--seconds", metavar="N", type=whole_number(1, 86_400), default=_SECONDS, help=_TIME)
    parser.add_argument("--limit", metavar="SIZE", type=size, default=_LIMIT_BYTES, help=_LIMIT)
    parser.add_argument("--most", metavar="N", type=whole_number(1, 100_000), default=_MOST, help=_PATHS)
    parser.add_argument("--alone", action="store_true", help="do not start instances to look for state in memory")


_KILLS = f"maximum of deaths per response and policy, spread evenly (default: {MOST_BOUNDARIES})"
_EXPECT = "an error status that is no failure, such as 401 (repeatable)"
_TIME = f"time for one response and all its deaths; a tenth of it for one fetch (default: {_SECONDS})"
_LIMIT = "bytes of a response to try (default: 64M)"
_PATHS = f"maximum of responses to test (default: {_MOST})"


def run(args: argparse.Namespace) -> int:
    """Test the paths, printing a line for each; return 1 if one fails."""
    options = program_options(args.program, args)
    application = load_program(options)
    with _exits_raising():
        good = _tested(application, options, args)
    return 0 if good else 1


def _tested(application: Application, options: ProgramOptions, args: argparse.Namespace) -> bool:
    """Test the paths and print; return whether all are good."""
    plain, templates = paths_of(application)
    paths = (args.get or plain)[: args.most]
    if not paths:
        raise CommandFailed("all routes take parameters: use --get PATH")
    print(_ROW.format("GET", "status", "resumes", "level", "bytes", "packets", "kills"))
    good = asyncio.run(_try(application, paths, args))
    for template in templates if args.get is None else ():
        print(f"{template:<40} not tested: it takes parameters, use --get with a path")
    for path in (args.get or plain)[args.most :]:
        print(f"{path:<40} not tested: use a larger --most")
    if not args.alone:
        good = asyncio.run(_compare(options, paths, args)) and good
    return good


@contextmanager
def _exits_raising() -> Iterator[None]:
    """Let os._exit raise in this process, so that the paths after a program's end are tested too; children end."""
    leave, checking = os._exit, os.getpid()

    def left(status: int) -> NoReturn:
        if os.getpid() != checking:
            leave(status)
        raise ProgramError(f"the program ends its process: os._exit({status})")

    os._exit = left
    try:
        yield
    finally:
        os._exit = leave


async def _try(application: Application, paths: Sequence[str], args: argparse.Namespace) -> bool:
    """Return whether all paths are good; on one loop, which a program may keep."""
    good, bounds = True, ChaosBounds(seconds=args.seconds, most_bytes=args.limit)
    for path in paths:
        progress = _Progress(path)
        verdict = await chaos(
            lambda: application,
            get(path, *args.header),
            most_boundaries=args.kills,
            bounds=bounds,
            progress=progress.show,
        )
        progress.clear()
        print("\n".join(lines(path, verdict, args)), flush=True)
        good = good and verdict.resumes and (100 <= verdict.status < 400 or verdict.status in args.expect)
    return good


async def _compare(options: ProgramOptions, paths: Sequence[str], args: argparse.Namespace) -> bool:
    """Return whether no path depends on the memory of one instance, as far as that can be found."""
    session = Session(paths, args.header, args.seconds, args.limit)
    progress = _Progress("other instances of the program")
    progress.show(0, 0)
    try:
        found = await remembered(options, session)
    except CommandFailed as error:
        progress.clear()
        print(f"state in memory was not looked for: {error}")
        return True
    progress.clear()
    for path, what in found.items():
        print(f"{path:<40} keeps state in memory: another instance gives {what} (see docs/programs.md)")
    return not found


class _Progress:
    """Progress of one response, on a terminal only."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._is_shown = sys.stderr.isatty()
        self.show(0, 0)

    def show(self, done: int, of: int) -> None:
        if self._is_shown:
            deaths = f"death {done} of {of}" if of else "..."
            print(f"\r\x1b[K{self._path}: {deaths}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def lines(path: str, verdict: Verdict, args: argparse.Namespace) -> list[str]:
    """Return the lines printed for one path."""
    resumes = "yes" if verdict.resumes else "no"
    level = _LEVELS[verdict.level]
    row = _ROW.format(path, verdict.status, resumes, level, verdict.size_bytes, verdict.packets, verdict.kills)
    notes = [] if verdict.steady or verdict.failure else [_DIFFERENT]
    if verdict.failure:
        notes.append(f"    without any death it {one_line(verdict.failure)}")
    if not verdict.ended:
        notes.append(f"    did not end within {args.seconds / 10:g} s and {args.limit} bytes: tried so far")
    if verdict.status >= 500:
        notes += [f"    {one_line(repr(error))}" for error in verdict.errors[:1]]
    notes += [
        f"    death after packet {each.packet} ({each.policy.value}): {one_line(each.why)}"
        for each in verdict.breaks[:_SHOWN_BREAKS]
    ]
    more = len(verdict.breaks) - _SHOWN_BREAKS
    return [row, *notes, *([f"    and {more} more"] if more > 0 else [])]
