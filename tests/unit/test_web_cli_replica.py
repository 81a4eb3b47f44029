"""What a replica does beside answering: figures, errors told, files hashed ahead."""

import json
import signal
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from tests.support.fleetkeys import entropy, ring
from tests.support.origins import event, get, origin
from tests.support.site_folder import LATER_NS, fill
from trickles.command import CommandFailed
from trickles.drivers.chores import Chores
from trickles.drivers.process import stop_signals
from trickles.drivers.replica import Replica
from trickles.drivers.udp import BatchSocket
from trickles.listener import Listener
from trickleweb.cli.replica_parts import bound
from trickleweb.cli.reporting import Reporter
from trickleweb.cli.warming import Warming
from trickleweb.files import DigestIndex, Hasher
from trickleweb.files.disk import stamp_of


def test_figures_tell_what_was_done_and_not_for_whom(tmp_path: Path) -> None:
    server = origin(fill(tmp_path / "site", {"a": b"a"}))
    server.handle(event(get("/a")))
    server.handle(event(get("/b")))
    listener = Listener(ring(), server, entropy=entropy())
    listener.counters.hit("refused.expired", 2)
    listener.counters.hit("answered", 5)
    sock = BatchSocket.bind("127.0.0.1", 0)
    Reporter(Replica(listener, sock), server, tmp_path / "figures.json").write(None)
    told = json.loads((tmp_path / "figures.json").read_text())
    assert (told["requests"], told["refusals"], told["statuses"]) == (2, 2, {"200": 1, "404": 1})
    assert told["transport"] == {"answered": 5, "refused.expired": 2}
    sock.close()


def test_figures_are_written_when_they_have_changed(tmp_path: Path) -> None:
    server, place = origin(fill(tmp_path / "site", {"a": b"a"})), tmp_path / "figures.json"
    sock = BatchSocket.bind("127.0.0.1", 0)
    reporter = Reporter(Replica(Listener(ring(), server, entropy=entropy()), sock), server, place)
    reporter.write(None)
    place.write_text("unchanged")
    reporter.write(None)
    assert place.read_text() == "unchanged"
    server.handle(event(get("/a")))
    reporter.write(None)
    assert json.loads(place.read_text())["requests"] == 1
    sock.close()


def test_chores_are_done_every_so_often() -> None:
    done, times = list[str](), iter((5.0, 5.0, 5.0, 5.5, 6.0, 6.5, 65.0, 65.5))
    chores = Chores(clock=lambda: next(times))
    chores.every(1.0, "often", lambda: done.append("often"))
    chores.every(60.0, "rarely", lambda: done.append("rarely"))
    for _ in range(6):
        chores.tick()
    assert done == ["often", "rarely", "often", "often", "rarely"]


def test_of_many_errors_some_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = origin(tmp_path)
    sock = BatchSocket.bind("127.0.0.1", 0)
    reporter = Reporter(Replica(Listener(ring(), server, entropy=entropy()), sock), server, None)
    for _ in range(2):
        for at in range(100):
            reporter.error(ValueError(f"number {at}\n"))
        told = capsys.readouterr().err.splitlines()
        assert told == [f"ValueError: number {at}\\n" for at in range(5)]
        reporter.forgive()
    sock.close()


def test_large_files_are_hashed_ahead_of_their_first_request(tmp_path: Path) -> None:
    site = fill(tmp_path / "site", {"large": bytes(100_000), "small": b"s", "deep/er": bytes(70_000), ".hidden": b"h"})
    index = DigestIndex(tmp_path / "digests")
    warming = Warming(site, Hasher(lambda: LATER_NS, index))
    warming.wait()
    assert warming.done
    assert (warming.progress.files, warming.progress.size_bytes) == (3, 170_001)
    assert [index.get(stamp_of(str(site / name))) is not None for name in ("large", "deep/er", "small")] == [1, 1, 0]
    index.close()


def test_how_far_hashing_has_come_is_told_within_a_file_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = fill(tmp_path / "site", {"la\nrge": bytes(2_500_000), "small": b"s"})
    Warming(site, Hasher(lambda: LATER_NS), every_seconds=-1.0).wait()
    assert capsys.readouterr().err.splitlines() == [
        "hashing la\\nrge: 1 of 2 MB",
        "hashing la\\nrge: 2 of 2 MB",
        "hashing la\\nrge: 2 of 2 MB",
        "hashing the folder: 1 files, 2 MB",
        "hashing the folder: 2 files, 3 MB",
        "hashed the folder: 2 files, 3 MB",
    ]
    Warming(site, Hasher(lambda: LATER_NS)).wait()
    assert capsys.readouterr().err == ""


def test_a_signal_makes_a_socket_readable_and_nothing_else() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop_signals() as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop.recv(1) == bytes((signal.SIGTERM,))
    assert signal.getsignal(signal.SIGTERM) is before


def test_other_signals_stop_nothing() -> None:
    heard = list[int]()
    before = signal.signal(signal.SIGHUP, lambda number, _: heard.append(number))
    try:
        with stop_signals() as stop:
            signal.raise_signal(signal.SIGHUP)
            stop.setblocking(False)
            with pytest.raises(BlockingIOError):
                stop.recv(1)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert heard == [signal.SIGHUP]


def test_a_port_that_cannot_be_had_is_told_in_words() -> None:
    sock = bound(Namespace(udp=("127.0.0.1", 0), reuse_port=False, freebind=False))
    with pytest.raises(CommandFailed, match=r"^UDP 127\.0\.0\.1:\d+ is in use: choose another with --udp HOST:PORT"):
        bound(Namespace(udp=sock.address, reuse_port=False, freebind=False))
    sock.close()
    with pytest.raises(CommandFailed, match="cannot be used"):
        bound(Namespace(udp=("192.0.2.1", 0), reuse_port=False, freebind=False))


@pytest.mark.slow
def test_a_replica_starts_without_what_it_rarely_needs() -> None:
    rarely = {"asyncio", "email", "html", "http", "importlib.metadata", "jinja2", "ssl", "tempfile", "zipfile"}
    rarely.add("cryptography.hazmat.primitives.serialization")
    found = f"import sys, trickleweb.cli.replica; print(sorted({rarely!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", found], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
