"""How fast do two processes move a file, and at what cost of CPU? Trickles beside TCP and QUIC, in one run.

Three paths: loopback; a veth cable with MTU 1500 between two namespaces, with the kernel's offloads (bursts cross it
uncut); and `wire`, the same cable where every burst is cut before it, which shows what each transport adds per packet.
Peers take turns in every round; figures are medians over the rounds, ratios are medians of the rounds' own ratios.
"""

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.peers.transfers import QUIC, TCP, TRANSFERS, Transfer
from benchmarks.support import net
from benchmarks.support.payload import Payload, make_payload
from benchmarks.support.processes import Child, ChildFailed
from benchmarks.support.results import Outcome, save
from benchmarks.support.statistics import median, paired_ratio, rotated
from benchmarks.support.tables import number, table, times

MEGABYTE, GIGABYTE = 10**6, 10**9
START_SECONDS = 30.0
PATHS = ("loopback", "veth", "wire")


@dataclass(frozen=True, slots=True)
class Run:
    """One transfer: seconds, CPU seconds of both sides, and the bytes the cable saw from the server (None: unknown)."""

    seconds: float
    size_bytes: int
    server_cpu: float
    client_cpu: float
    wire_packets: int | None = None
    wire_bytes: int | None = None

    @property
    def rate(self) -> float:
        """Megabytes per second."""
        return self.size_bytes / MEGABYTE / self.seconds


Runs = dict[tuple[str, str], list[Run]]  # by path and kind


def run_once(kind: Transfer, path: net.Path, payload: Payload, timeout: float) -> Run:
    """Start both ends, move the file once; ChildFailed if anything goes wrong or the hash is not right."""
    wired = path.server_namespace if path.name == "wire" else None
    before = net.sent(wired) if wired else net.Sent(0, 0)
    with Child(kind.server(path.server_address, payload.path), namespace=path.server_namespace) as server:
        port = int(str(server.message(START_SECONDS)["port"]))
        argv = kind.client(path.server_address, port, payload.size_bytes)
        with Child(argv, namespace=path.client_namespace) as client:
            got = client.message(timeout)
            client.wait(START_SECONDS)
        server.ask_to_end()
        spent = server.message(START_SECONDS)
    if got["sha256"] != payload.sha256:
        raise ChildFailed(f"{kind.name} on {path.name}: {got['bytes']} bytes with a wrong hash")
    after = net.sent(wired) if wired else None
    return Run(
        float(str(got["seconds"])),
        payload.size_bytes,
        cpu(spent),
        cpu(got),
        after.packets - before.packets if after else None,
        after.bytes - before.bytes if after else None,
    )


def cpu(message: dict[str, object]) -> float:
    """User and system seconds out of an end's message."""
    return float(str(message["cpu_user"])) + float(str(message["cpu_sys"]))


def open_path(name: str, cleanup: ExitStack, outcome: Outcome) -> net.Path | None:
    """The path if it can be made here; its namespaces last as long as `cleanup`."""
    if name == "loopback":
        return net.LOOPBACK_PATH
    if (reason := net.veth_missing()) is not None:
        outcome.skip(f"path {name}", reason)
        return None
    return cleanup.enter_context(net.veth(name, segments=1 if name == "wire" else None))


def chosen_kinds(wanted: Sequence[str], outcome: Outcome) -> list[Transfer]:
    """The kinds that were asked for (all if none was) and can run."""
    kinds = []
    for kind in TRANSFERS:
        if wanted and not any(word in kind.name for word in wanted):
            continue
        if (reason := kind.missing()) is not None:
            outcome.skip(kind.name, reason)
        else:
            kinds.append(kind)
    return kinds


def measure(options: argparse.Namespace, outcome: Outcome) -> Runs:
    """All rounds of all kinds on all paths."""
    kinds, runs = chosen_kinds(options.only, outcome), Runs()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        large = make_payload(Path(folder, "large"), options.megabytes * MEGABYTE)
        small = make_payload(Path(folder, "small"), options.slow_megabytes * MEGABYTE)
        for name in options.paths:
            with ExitStack() as cleanup:
                if (path := open_path(name, cleanup, outcome)) is None:
                    continue
                for turn in range(1 if name == "wire" else options.rounds):
                    for kind in rotated([kind for kind in kinds if name in (kind.paths or PATHS)], turn):
                        payload = small if kind.slow or name == "wire" else large
                        run_and_note(kind, path, payload, options.timeout, runs, outcome)
    return runs


def run_and_note(
    kind: Transfer, path: net.Path, payload: Payload, timeout: float, runs: Runs, outcome: Outcome
) -> None:
    """One transfer among the others: what fails is noted, and the rest goes on."""
    try:
        run = run_once(kind, path, payload, timeout)
    except ChildFailed as error:
        outcome.fail(f"transfer: {error}")
        return
    runs.setdefault((path.name, kind.name), []).append(run)
    print(f"{path.name:9} {kind.name:16} {run.rate:9.1f} MB/s", flush=True)


def per_gigabyte(values: Sequence[float], runs: Sequence[Run]) -> float:
    """Median of the values per 10^9 bytes."""
    return median(value / run.size_bytes * GIGABYTE for value, run in zip(values, runs, strict=True))


def overhead_percent(run: Run, kind: Transfer) -> float | None:
    """Bytes of the transport's own headers (above IP and UDP) in percent of the file."""
    if run.wire_bytes is None or run.wire_packets is None:
        return None
    return 100 * (run.wire_bytes - run.wire_packets * kind.header_bytes - run.size_bytes) / run.size_bytes


def summary(runs: Runs) -> list[dict[str, object]]:
    """One row per path and kind."""
    kinds = {kind.name: kind for kind in TRANSFERS}
    rows: list[dict[str, object]] = []
    for (path, name), mine in runs.items():
        rates = [run.rate for run in mine]
        reference = [run.rate for run in runs.get((path, TCP), [])]
        quic = [run.rate for run in runs.get((path, QUIC), [])]
        rows.append(
            {
                "path": path,
                "kind": name,
                "rate": median(rates),
                "to_tcp": paired_ratio(rates, reference),
                "to_aioquic": paired_ratio(rates, quic),
                "server_cpu_per_gb": per_gigabyte([run.server_cpu for run in mine], mine),
                "client_cpu_per_gb": per_gigabyte([run.client_cpu for run in mine], mine),
                "overhead_percent": overhead_percent(mine[0], kinds[name]),
            }
        )
    return rows


def show(rows: Sequence[dict[str, object]]) -> None:
    """Print the table."""
    headers = ["path, kind", "MB/s", "to TCP", "to aioquic", "server CPU s/GB", "client CPU s/GB", "header overhead %"]
    cells = [
        [
            f"{row['path']:9} {row['kind']}",
            number(as_float(row["rate"]), 1),
            times(as_float(row["to_tcp"])),
            times(as_float(row["to_aioquic"])),
            number(as_float(row["server_cpu_per_gb"])),
            number(as_float(row["client_cpu_per_gb"])),
            number(as_float(row["overhead_percent"])),
        ]
        for row in rows
    ]
    print(table("Transfer of one file between two processes", headers, cells), flush=True)


def as_float(value: object) -> float | None:
    """A figure of a row."""
    return value if isinstance(value, float) else None


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="benchmarks transfer", description=__doc__)
    options.add_argument("--megabytes", type=int, default=500)
    options.add_argument("--slow-megabytes", type=int, default=50, help="size for slow kinds and for the wire path")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--paths", nargs="+", choices=PATHS, default=list(PATHS))
    options.add_argument("--only", nargs="+", default=[], help="words of the kinds to run, as: TCP sealed")
    options.add_argument("--timeout", type=float, default=120.0, help="seconds one transfer may take")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, save; 0 if every transfer was complete and right."""
    options, outcome = parser().parse_args(argv), Outcome()
    runs = measure(options, outcome)
    rows = summary(runs)
    show(rows)
    outcome.figures["rows"] = rows
    outcome.figures["runs"] = [
        {"path": path, "kind": kind, **asdict(run)} for (path, kind), mine in runs.items() for run in mine
    ]
    save("transfer", vars(options), outcome)
    return 1 if outcome.errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
