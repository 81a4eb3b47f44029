"""Metrics and health, and the port where they are told."""

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.processes import PATIENCE_SECONDS
from tests.support.web import head
from trickleweb.server import Answered
from trickleweb.telemetry import AdminServer, Meter, exposition
from trickleweb.telemetry.admin import MOST_AT_ONCE, STUCK_S
from trickleweb.telemetry.metrics import family


def answered(took_us: int, *, resumed: bool = False) -> Answered:
    return Answered(
        head=head(), peer="", status=200, body_bytes=1, began_us=0, took_us=took_us, resumed=resumed
    )  # fmt: skip


def samples(text: str) -> dict[str, float]:
    """The values by name and labels; every line must be one of three kinds."""
    found = dict[str, float]()
    for line in text.splitlines():
        if not line.startswith(("# HELP trickleweb_", "# TYPE trickleweb_")):
            name, value = line.rsplit(" ", 1)
            assert name.startswith("trickleweb_")
            found[name] = float(value)
    return found


def test_figures_become_counters() -> None:
    figures = {
        "pid": 7,
        "started": 1_700_000_000,
        "packets_in": 3,
        "packets_out": 4,
        "bytes_out": 12_345_678_901,
        "errors": 1,
        "statuses": {"200": 5, "404": 1},
        "transport": {"answered": 3, "refused.epoch": 2},
        "keys": {
            "epoch": "00000007",
            "certificate_ends": 1_702_592_000,
            "newest": "00000008",
            "newest_begins": 1_700_600_000,
            "epochs": 3,
        },
        "ledger": {"store": "0a0b0c0d", "refused_other": 2},
    }
    assert samples(exposition(figures)) == {
        "trickleweb_packets_in_total": 3,
        "trickleweb_packets_out_total": 4,
        "trickleweb_bytes_out_total": 12_345_678_901,
        "trickleweb_errors_total": 1,
        'trickleweb_responses_total{status="200"}': 5,
        'trickleweb_responses_total{status="404"}': 1,
        'trickleweb_transport_total{event="answered"}': 3,
        'trickleweb_transport_total{event="refused.epoch"}': 2,
        "trickleweb_start_time_seconds": 1_700_000_000,
        'trickleweb_certificate_end_time_seconds{epoch="00000007"}': 1_702_592_000,
        'trickleweb_newest_epoch_start_time_seconds{epoch="00000008"}': 1_700_600_000,
        "trickleweb_epochs": 3,
        'trickleweb_refused_other_ledger_total{store="0a0b0c0d"}': 2,
    }


def test_a_histogram_is_cumulative() -> None:
    meter = Meter()
    for took_us in (1, 500, 501, 40_000, 99_000_000):
        meter(answered(took_us))
    meter(answered(7, resumed=True))
    found = samples(exposition({}, meter.families()))
    buckets = {name.split('"')[1]: value for name, value in found.items() if "_bucket" in name}
    assert (buckets["0.0005"], buckets["0.001"], buckets["0.05"], buckets["10"], buckets["+Inf"]) == (2, 3, 4, 4, 5)
    assert list(buckets.values()) == sorted(buckets.values())
    assert found["trickleweb_response_seconds_count"] == 5
    assert found["trickleweb_response_seconds_sum"] == pytest.approx(99.041002)
    assert found["trickleweb_resumed_total"] == 1


def test_labels_are_quoted() -> None:
    told = list(family("x", "counter", "X.", [("", {"a": 'b"\\\n'}, 1)]))
    assert told[-1] == r'trickleweb_x{a="b\"\\\n"} 1'


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def admin(clock: Clock) -> Iterator[AdminServer]:
    server = AdminServer("127.0.0.1", 0, lambda: "the metrics\n", clock=clock)
    yield server
    server.close()


def asked(admin: AdminServer, path: str, method: str = "GET") -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(*admin.address, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.headers["Content-Type"], response.read().decode()
    finally:
        connection.close()


def test_the_port_tells_metrics_and_health(admin: AdminServer) -> None:
    assert asked(admin, "/metrics") == (200, "text/plain; version=0.0.4; charset=utf-8", "the metrics\n")
    assert asked(admin, "/health?x") == (200, "text/plain", "ok\n")
    assert asked(admin, "/health", "HEAD") == (200, "text/plain", "")
    assert asked(admin, "/")[0] == 404
    assert asked(admin, "/health", "POST")[0] == 501


def test_a_replica_without_a_sign_of_life_is_not_well(admin: AdminServer, clock: Clock) -> None:
    clock.now = STUCK_S + 1
    assert asked(admin, "/health") == (503, "text/plain", "no sign of life for 6 s\n")
    admin.alive()
    assert asked(admin, "/health")[0] == 200


def test_a_client_that_says_nonsense_or_goes_harms_nobody(admin: AdminServer) -> None:
    for data in (
        b"",
        b"\0\xff\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\n\r\n",
        b"GET " + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
    ):
        with socket.create_connection(admin.address, PATIENCE_SECONDS) as client:
            client.sendall(data)
    assert asked(admin, "/health")[0] == 200


@pytest.mark.slow
def test_so_many_may_ask_at_once_and_one_more_is_turned_away(admin: AdminServer) -> None:
    with ExitStack() as idle:
        for _ in range(MOST_AT_ONCE):
            idle.enter_context(socket.create_connection(admin.address, PATIENCE_SECONDS))
        with socket.create_connection(admin.address, PATIENCE_SECONDS) as client:
            assert client.recv(1) == b""


@pytest.mark.slow
@pytest.mark.parametrize(("host", "bound"), [("", "127.0.0.1"), ("::1", "::1"), ("localhost", "127.0.0.1")])
def test_the_port_is_on_loopback_unless_told_otherwise(host: str, bound: str) -> None:
    server = AdminServer(host, 0, lambda: "")
    assert server.address[0] == bound
    assert asked(server, "/health")[0] == 200
    server.close()


def test_a_port_that_is_taken_is_an_error(admin: AdminServer) -> None:
    with pytest.raises(OSError, match="in use"):
        AdminServer(*admin.address, lambda: "")


def test_a_port_whose_threads_cannot_be_started_answers_again_later(
    admin: AdminServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as short:
        short.setattr(threading.Thread, "start", start)
        for _ in range(MOST_AT_ONCE + 1):
            with pytest.raises((OSError, http.client.HTTPException)):
                asked(admin, "/health")
    assert asked(admin, "/health")[0] == 200
