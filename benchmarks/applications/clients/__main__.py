"""Visit a program and print a `Report` as one JSON object."""

import argparse
import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path

from benchmarks.applications.visiting import visit_all


def main() -> int:
    options = argparse.ArgumentParser(prog="benchmarks.applications.clients", description=__doc__)
    options.add_argument("client", help="module with the visit")
    options.add_argument("url", help="of the program, without a slash at its end")
    options.add_argument("data", type=Path, help="folder of the program's data")
    options.add_argument("--first", type=int, default=0, help="number of the first visit")
    options.add_argument("--least", type=int, default=1, help="visits at least")
    options.add_argument("--seconds", type=float, default=0.0, help="visits go on so long")
    said = options.parse_args()
    with redirect_stdout(sys.stderr):  # some clients print
        report = visit_all(said.client, said.url, said.data, first=said.first, least=said.least, seconds=said.seconds)
    print(json.dumps(asdict(report)), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
