"""Test whether responses resume: fetch each repeatedly, and kill a replica after a different packet each time.

Everything runs in this process, on virtual replicas. Without --get, all GET routes without parameters are tested. For
the program `request.now` is constant and `request.entropy` repeats. If it uses other clocks or random numbers, its
responses differ from run to run: a short one still resumes, as its state holds it; a long one is cut off. The exit code
is 1 if a response does not resume.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from trickles.command import CommandFailed, Parser, one_line, whole_number
from trickleweb.app import App
from trickleweb.application import Application
from trickleweb.bodies import Level
from trickleweb.cli.app_options import add_app_arguments, program_options
from trickleweb.cli.loading import load_program
from trickleweb.routing import Route
from trickleweb.routing.routes import flattened
from trickleweb.testing.killing import MOST_BOUNDARIES, Verdict, chaos, get


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
_SHOWN_BREAKS = 3


def add_arguments(parser: Parser) -> None:
    parser.add_argument("program", metavar="MODULE:ATTRIBUTE", help="the program to test, such as main:app")
    add_app_arguments(parser)
    parser.add_argument("--get", metavar="PATH", action="append", help="path and query to test (repeatable)")
    parser.add_argument("--header", metavar="LINE", action="append", default=[], help="send this field (repeatable)")
    parser.add_argument("--kills", metavar="N", type=whole_number(1, 10_000), default=MOST_BOUNDARIES, help=_KILLS)


_KILLS = f"maximum of deaths per response and policy, spread evenly (default: {MOST_BOUNDARIES})"


def run(args: argparse.Namespace) -> int:
    """Test the paths, printing a line for each; return 1 if one does not resume."""
    application = load_program(program_options(args.program, args))
    plain, templates = paths_of(application)
    paths = args.get or plain
    if not paths:
        raise CommandFailed("all routes take parameters: use --get PATH")
    print(_ROW.format("GET", "status", "resumes", "level", "bytes", "packets", "kills"))
    good = asyncio.run(_try(application, paths, args.header, args.kills))
    for template in templates if args.get is None else ():
        print(f"{template:<40} not tested: it takes parameters, use --get with a path")
    return 0 if good else 1


async def _try(application: Application, paths: Sequence[str], headers: Sequence[str], kills: int) -> bool:
    """Return whether all paths resume; on one loop, which a program may keep."""
    good = True
    for path in paths:
        verdict = await chaos(lambda: application, get(path, *headers), most_boundaries=kills)
        print("\n".join(lines(path, verdict)), flush=True)
        good = good and verdict.resumes
    return good


def lines(path: str, verdict: Verdict) -> list[str]:
    """Return the lines printed for one path."""
    resumes = "yes" if verdict.resumes else "no"
    level = _LEVELS[verdict.level]
    row = _ROW.format(path, verdict.status, resumes, level, verdict.size_bytes, verdict.packets, verdict.kills)
    notes = [] if verdict.steady else ["    responses differ from run to run: use request.now and request.entropy"]
    if verdict.status >= 500:
        notes += [f"    {one_line(repr(error))}" for error in verdict.errors[:1]]
    notes += [
        f"    death after packet {each.packet} ({each.policy.value}): {one_line(each.why)}"
        for each in verdict.breaks[:_SHOWN_BREAKS]
    ]
    more = len(verdict.breaks) - _SHOWN_BREAKS
    return [row, *notes, *([f"    and {more} more"] if more > 0 else [])]
