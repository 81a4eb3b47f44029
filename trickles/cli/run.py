"""Run a command whose connections go to fleets, through a gateway that starts and ends with it.

The gateway is a proxy on a free loopback port, and the environment variables that name a proxy are set for the
command: http_proxy, https_proxy, all_proxy, no_proxy, in both cases. For programs that ignore them, --hook uses
proxychains, if that is installed. --map names the fleet of each host, --replica one fleet for all hosts; other hosts
are refused unless they are passed through. The command replaces this process, so its exit code and signals are its own.

    trickles run --map www.example.org=192.0.2.1:8443 --server-key server.pub -- curl http://www.example.org/
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
from collections.abc import Mapping

from trickles.cli.fleet_options import add_discovery_arguments, add_fleet_arguments, names_replicas
from trickles.cli.hook import library, problem
from trickles.cli.mode_options import add_map_arguments, add_pass_arguments
from trickles.cli.private import Private, start_private
from trickles.command import Parser, reporter
from trickles.errors import LocalProtocolError

CANNOT_RUN, NOT_FOUND = 126, 127  # as in shells
_HOOK = "also support programs without proxy settings, by preloading proxychains"


def add_arguments(parser: Parser) -> None:
    add_map_arguments(parser)
    add_pass_arguments(parser)
    add_discovery_arguments(parser)
    add_fleet_arguments(parser)
    parser.add_argument("--hook", action="store_true", help=_HOOK)
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND ...", help="the command to run")


def run(args: argparse.Namespace) -> int:
    """Become the command; return only on failure: 126 if it cannot run, 127 if it is not found."""
    words = args.words[1:] if args.words[:1] == ["--"] else args.words
    if not words:
        raise LocalProtocolError("no command: trickles run ... -- COMMAND ...")
    if not (args.map or args.map_file or args.pass_through or names_replicas(args)):
        raise LocalProtocolError("no hosts are mapped: give --map, --map-file, --replica or --pass-through")
    path = shutil.which(words[0])
    if path is None:
        return _cannot(NOT_FOUND, f"{words[0]}: no such command")
    preload = library() if args.hook else None
    if preload is not None and (why := problem(path, preload)) is not None:
        return _cannot(CANNOT_RUN, f"{words[0]} cannot be hooked: {why}")
    variables = proxied(os.environ, start_private(args), preload)
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by this interpreter; the command wants the default
        signal.signal(ignored, signal.SIG_DFL)
    try:
        os.execvpe(path, words, variables)
    except OSError as error:
        return _cannot(CANNOT_RUN, f"{words[0]}: {error.strerror}")


def proxied(environment: Mapping[str, str], gateway: Private, preload: str | None) -> dict[str, str]:
    """Return the environment with that gateway as proxy, in place of any other proxy named in it."""
    url = f"http://127.0.0.1:{gateway.port}"  # all programs with proxy support know HTTP proxies, not all know SOCKS
    variables = dict(environment)
    for name in ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"):
        value = "" if name == "no_proxy" else url
        variables |= {name: value, name.upper(): value}
    if preload is not None:
        others = environment.get("LD_PRELOAD")
        variables["LD_PRELOAD"] = f"{preload}:{others}" if others else preload
        variables["PROXYCHAINS_CONF_FILE"] = gateway.hook_file
    return variables


def _cannot(code: int, why: str) -> int:
    reporter("run")(why)
    return code
