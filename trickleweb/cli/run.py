"""Serve a program through several replicas, any of which may be killed at any time.

MODULE:ATTRIBUTE is an application of this framework, or a program for ASGI 3 (FastAPI, Starlette ...) or WSGI (Flask,
Django ...), as it is. All else is as with `trickleweb serve`. Under --run-dir lies the ledger, too: what must not be
done twice is not.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence

from trickleweb.cli.app_options import add_app_arguments, app_words
from trickleweb.cli.fleet import Fleet
from trickleweb.cli.fleet_options import add_fleet_arguments, fleet_options
from trickleweb.cli.parser import Parser
from trickleweb.cli.rundir import RunDir


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("program", metavar="MODULE:ATTRIBUTE", help="the program to serve, such as main:app")
    add_app_arguments(parser)
    add_fleet_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT."""
    ledger = str(RunDir(args.run_dir).ledger)

    def words(_index: int) -> Sequence[str]:
        return ["--ledger", ledger, *app_words(args.program, args)]

    options = fleet_options(args, command="run", what=args.program, words=words)
    asyncio.run(Fleet(options).serve())
    return 0
