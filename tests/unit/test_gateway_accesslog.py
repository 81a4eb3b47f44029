"""What a gateway tells of a connection that is over, and the log it goes to."""

import json
import os
import select
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.gatewayhouse import house
from tests.support.loop import on_loop, until
from tests.support.loopfleet import IMPATIENT
from tests.support.replica_program import tape
from trickles.gateway.accesslog import MOST_WAITING_BYTES, Completion, ConnectionLog, ConnectionRecord, as_json, as_text
from trickles.gateway.downstream import Downstream
from trickles.gateway.fleet_upstream import FleetUpstream

DONE = ConnectionRecord(
    client="192.0.2.9:5555",
    began=1_700_000_000.25,
    duration=1.5,
    completion=Completion.COMPLETE,
    bytes_in=80,
    bytes_out=1_000_000,
    replicas={("192.0.2.1", 8443): 700, ("2001:db8::1", 8443): 3},
    failovers=1,
    longest_stall_us=12_345,
)
LINE = "2023-11-14T22:13:20.250Z 192.0.2.9:5555 complete seconds=1.500 in=80 out=1000000"


def test_an_account_as_text() -> None:
    words = "replicas=192.0.2.1:8443*700,[2001:db8::1]:8443*3 failovers=1 stall_ms=12"
    assert as_text(DONE) == f"{LINE} {words}\n"
    nobody = replace(DONE, replicas={}, completion=Completion.FAILED, reason="no replica answers")
    proxied = as_text(replace(DONE, target="example.org:80", reason="gone"))
    assert proxied.endswith("stall_ms=12 target=example.org:80 reason=gone\n")
    assert as_text(nobody).endswith("replicas=- failovers=1 stall_ms=12 reason=no replica answers\n")


def test_an_account_as_json() -> None:
    assert json.loads(as_json(DONE)) == {
        "time": "2023-11-14T22:13:20.250Z",
        "client": "192.0.2.9:5555",
        "completion": "complete",
        "reason": None,
        "target": None,
        "seconds": 1.5,
        "bytes_in": 80,
        "bytes_out": 1_000_000,
        "replicas": {"192.0.2.1:8443": 700, "[2001:db8::1]:8443": 3},
        "failovers": 1,
        "longest_stall_seconds": 0.012345,
    }


@pytest.mark.parametrize("render", [as_text, as_json])
def test_no_text_makes_more_than_a_line_or_anything_but_ascii(render: object) -> None:
    line = render(replace(DONE, reason="a\nb\r\x1b[2J\N{SNOWMAN}\ud800"))  # type: ignore[operator]
    assert line.count("\n") == 1
    assert line[:-1].isascii()
    assert line[:-1].isprintable()


def test_lines_are_gathered_and_go_to_a_file_that_may_be_renamed(tmp_path: Path) -> None:
    told, path = list[str](), tmp_path / "log"
    log = ConnectionLog(path, as_text, report=told.append)
    assert stat.S_IMODE(path.stat().st_mode) & ~0o640 == 0
    log.write(DONE)
    assert path.read_text() == ""
    log.flush()
    assert path.read_text() == as_text(DONE)
    path.rename(tmp_path / "log.1")
    log.write(DONE)
    log.reopen()
    log.write(DONE)
    log.close()
    assert (tmp_path / "log.1").read_text() == 2 * as_text(DONE)
    assert path.read_text() == as_text(DONE)
    assert told == []


def test_many_lines_do_not_wait_for_a_flush(tmp_path: Path) -> None:
    log = ConnectionLog(tmp_path / "log", as_text, report=print)
    for _ in range(1000):
        log.write(DONE)
    assert (tmp_path / "log").stat().st_size > 60_000
    log.close()
    assert (tmp_path / "log").read_text() == 1000 * as_text(DONE)


def test_a_reader_that_does_not_read_holds_nobody_up_and_misses_lines(tmp_path: Path) -> None:
    told, path = list[str](), tmp_path / "fifo"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    log = ConnectionLog(path, as_text, report=told.append)
    count = 3 * MOST_WAITING_BYTES // len(as_text(DONE))
    for _ in range(count):
        log.write(DONE)
    received = b""
    while select.select([reading], [], [], 0)[0] and (data := os.read(reading, 1 << 16)):
        received += data
        log.flush()
    lines = received.decode().splitlines(keepends=True)
    assert set(lines) == {as_text(DONE)}
    assert told == [f"access log: {count - len(lines)} lines were dropped"]
    os.close(reading)
    log.write(DONE)
    for _ in range(2):
        log.flush()
    assert told[1:] == ["access log: Broken pipe"]
    log.close()


def test_a_file_that_cannot_be_opened_is_an_error_at_first_and_told_later(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        ConnectionLog(tmp_path / "nowhere" / "log", as_text, report=print)
    told, folder = list[str](), tmp_path / "folder"
    folder.mkdir()
    log = ConnectionLog(folder / "log", as_text, report=told.append)
    (folder / "log").unlink()
    folder.rmdir()
    log.reopen()
    assert told == ["access log: No such file or directory (the old file stays in use)"]
    log.close()


@pytest.mark.slow
def test_each_way_in_which_a_connection_ends_has_its_account() -> None:
    async def test() -> None:
        async with house(count=2, client=IMPATIENT) as home:
            accounts = list[ConnectionRecord]()
            home.gateway.watch(accounts.append)
            assert await home.ask(b"get 100000\n") == tape(0, 100_000)
            await until(lambda: len(accounts) == 1)
            done = accounts[0]
            assert (done.completion, done.reason, done.bytes_in, done.bytes_out) == ("complete", "", 11, 100_000)
            assert set(done.replicas) <= set(home.fleet.addresses)
            assert sum(done.replicas.values()) > 0
            assert set(done.latencies_us) == set(done.replicas)
            assert done.client.startswith("127.0.0.1:")
            assert done.duration > 0

            reader, writer = await home.dial()
            writer.write(b"get 2000000000\n")
            await reader.readexactly(5)
            writer.transport.abort()
            await until(lambda: len(accounts) == 2)
            assert accounts[1].completion == "reset"

            reader, writer = await home.dial()
            writer.write(b"get 2000000000\n")
            await reader.readexactly(5)
            for index in range(2):
                home.fleet.kill(index)
            with pytest.raises(ConnectionResetError):
                await reader.read()
            await until(lambda: len(accounts) == 3)
            assert (accounts[2].completion, accounts[2].reason) == ("failed", "no replica answers")

    on_loop(test())


def test_what_the_replicas_deaths_cost_is_told() -> None:
    async def test() -> None:
        async with house(count=2) as home:
            accounts = list[ConnectionRecord]()
            home.gateway.watch(accounts.append)
            reader, writer = await home.dial()
            writer.write(b"get 20000000\n")
            writer.write_eof()
            assert await reader.readexactly(5) == tape(0, 5)
            [member] = home.gateway.context.table
            assert isinstance(member, Downstream)
            assert isinstance(member.upstream, FleetUpstream)
            connection = member.upstream._connection
            assert connection is not None
            home.fleet.kill(0)
            assert await reader.read() == tape(5, 20_000_000)
            await until(lambda: bool(accounts))
            assert (accounts[0].failovers, accounts[0].longest_stall_us) == (
                connection.delivery.failovers,
                connection.delivery.longest_stall_us,
            )
            assert set(accounts[0].replicas) == set(home.fleet.addresses)

    on_loop(test())
