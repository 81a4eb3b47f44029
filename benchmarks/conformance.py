"""How do public HTTP/1.1 suites judge static files, and a program, served by trickleweb and by its rivals?

python -m benchmarks conformance --suite PATH --suite PATH ...

Each PATH is a suite that you have: a checkout of github.com/dropseed/h1spec or of github.com/uNetworking/h1spec (it
needs deno), or the installed program redbot or slowhttptest. Every server serves a copy of the bundled site; with
--program a program that gives bodies back, which two of the suites' checks want of a server.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from shutil import copytree

from benchmarks.peers.http_server import running
from benchmarks.peers.http_servers import PROGRAMS, SERVERS
from benchmarks.peers.suites import SUITES, Load, Suite, Verdict
from benchmarks.support.processes import REPOSITORY, ChildFailed
from benchmarks.support.results import Outcome, save
from benchmarks.support.tables import table

BUNDLED = REPOSITORY / "trickleweb" / "site"


@dataclass(frozen=True, slots=True)
class Judged:
    """What one suite said of one server."""

    suite: str
    server: str
    verdict: Verdict


def suite_at(path: Path) -> Suite:
    """The suite that lies there; exits with a word if none does."""
    for suite in SUITES:
        if suite.lies_at(path):
            return suite
    sys.exit(f"no suite that is known here: {path}")


def measure(options: argparse.Namespace, outcome: Outcome) -> list[Judged]:
    """Every suite on every server."""
    chosen = [(path, suite_at(path)) for path in options.suite]
    servers = PROGRAMS if options.program else SERVERS
    wanted = [server for server in servers if not options.only or any(word in server.name for word in options.only)]
    load, judged = Load(options.connections, options.seconds), list[Judged]()
    with tempfile.TemporaryDirectory(prefix="bench-site-") as folder, ExitStack() as cleanup:
        site = copytree(BUNDLED, Path(folder) / "site")
        Path(folder).chmod(0o755)
        for server in wanted:
            if (reason := server.missing()) is not None:
                outcome.skip(server.name, reason)
                continue
            try:
                place = cleanup.enter_context(running(server, site)).place
                for path, suite in chosen:
                    judged.append(Judged(suite.name, server.name, suite.judge(path, place.port, load)))
            except (ChildFailed, OSError, ValueError, subprocess.SubprocessError) as error:
                outcome.fail(f"conformance: {server.name}: {error}")
    return judged


def show(judged: Sequence[Judged], what: str) -> None:
    """Print what was passed as a table, and what was not as lines."""
    suites, servers = (list(dict.fromkeys(names)) for names in zip(*((j.suite, j.server) for j in judged), strict=True))
    found = {(each.suite, each.server): each.verdict for each in judged}
    cells = [[suite, *(shown(found.get((suite, server))) for server in servers)] for suite in suites]
    print(table(f"Checks passed, serving {what}", ["suite", *servers], cells))
    for each in judged:
        for complaint in each.verdict.complaints:
            print(f"{each.server:18} {each.suite:18} {complaint}")


def shown(verdict: Verdict | None) -> str:
    return "-" if verdict is None else f"{verdict.passed} of {verdict.total}"


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="benchmarks conformance", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--suite", type=Path, action="append", required=True, help="where a suite lies (repeatable)")
    options.add_argument("--program", action="store_true", help="serve a program, not files")
    options.add_argument("--only", nargs="+", default=[], help="words of the servers to judge, as: nginx trickleweb")
    options.add_argument("--connections", type=int, default=1000, help="of slowhttptest")
    options.add_argument("--seconds", type=int, default=15, help="how long each mode of slowhttptest lasts")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, save; 0 if every suite could be run."""
    options, outcome = parser().parse_args(argv), Outcome()
    judged = measure(options, outcome)
    if judged:
        show(judged, "a program" if options.program else "files")
    outcome.figures["judged"] = [asdict(each) for each in judged]
    save("conformance", vars(options), outcome)
    return 1 if outcome.errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
