"""`trickleweb serve`: real processes, from the first line to the last pid file."""

import json
import os
import signal
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.support.processes import PATIENCE_SECONDS, Program
from tests.support.served import ANY_PORT, Served, ends, served
from trickles.drivers.keystore import fleet_identity as identity_of
from trickles.drivers.keystore import init_keystore, load_keyring, read_server_key, rotate_keystore, server_key_text
from trickles.drivers.world import wall_us
from trickles.handshake import DAY

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("serve")]

HELLO = b"Hello, world\n"
LARGE = os.urandom(3_000_000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("site")
    (path / "hello.txt").write_bytes(HELLO)
    (path / "large.bin").write_bytes(LARGE)
    (path / "index.html").write_bytes(b"<h1>Home</h1>")
    return path


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def fleet(folder: Path, run_dir: Path) -> Iterator[Served]:
    with served(folder, run_dir) as started:
        yield started


def failure(*words: object) -> tuple[int, str]:
    """The exit code, and the one line that says why."""
    with Program("trickleweb", *words) as program:
        code = program.wait()
        assert program.output.rest() == ""
        told = program.errors.rest()
        assert told.count("\n") == 1, told
        return code, told


def test_one_command_serves_a_folder_and_cleans_up(fleet: Served, folder: Path, run_dir: Path) -> None:
    assert fleet.announcement == (
        f"{fleet.url}/ serves {folder} through 3 replicas (UDP {fleet.udp[0]}, {fleet.udp[1]}, {fleet.udp[2]})"
    )
    assert (fleet.get("/hello.txt"), fleet.get("/large.bin"), fleet.get("/")) == (HELLO, LARGE, b"<h1>Home</h1>")
    names = {path.name for path in run_dir.glob("*.pid")}
    assert names == {"replica-0.pid", "replica-1.pid", "replica-2.pid", "gateway.pid"}
    pids = fleet.pids()
    assert fleet.program.terminate() == 0
    assert all(map(ends, pids))
    assert not list(run_dir.glob("*.pid"))
    assert fleet.program.errors.rest() == ""


def test_an_interrupt_ends_it_too(fleet: Served, run_dir: Path) -> None:
    pids = fleet.pids()
    os.kill(fleet.program.pid, signal.SIGINT)
    assert fleet.program.wait() == 0
    assert all(map(ends, pids))
    assert not list(run_dir.glob("*.pid"))


def test_the_death_of_the_supervisor_ends_all(fleet: Served) -> None:
    pids = fleet.pids()
    fleet.program.kill()
    assert all(map(ends, pids))


@pytest.mark.parametrize("name", ["replica-1", "gateway"])
def test_the_dead_are_started_again(fleet: Served, name: str) -> None:
    before = fleet.pid(name)
    os.kill(before, signal.SIGKILL)
    assert fleet.program.errors.next() == f"trickleweb serve: {name} ended"
    assert fleet.program.errors.next() == f"trickleweb serve: {name} is back"
    assert fleet.pid(name) != before
    assert fleet.get("/large.bin") == LARGE
    assert [each["restarts"] for each in fleet.status()["processes"] if each["name"] == name] == [1]


def test_or_left_dead(folder: Path, run_dir: Path) -> None:
    with served(folder, run_dir, "--no-respawn") as fleet:
        for name in ("replica-0", "replica-2"):
            os.kill(fleet.pid(name), signal.SIGKILL)
            assert fleet.program.errors.next() == f"trickleweb serve: {name} ended"
        assert fleet.get("/large.bin") == LARGE
        processes = {each["name"]: each["pid"] for each in fleet.status()["processes"]}
        assert processes["replica-0"] is processes["replica-2"] is None
        assert processes["replica-1"] == fleet.pid("replica-1")


def test_all_replicas_may_share_one_port(folder: Path, run_dir: Path) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        probe.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{probe.getsockname()[1]}"
    with served(folder, run_dir, "--udp", place, "--reuse-port", "--replicas", 2) as fleet:
        assert fleet.udp == [place, place]
        assert fleet.get("/large.bin") == LARGE


def test_ipv6(folder: Path, run_dir: Path) -> None:
    with served(folder, run_dir, "--udp", "[::1]:0", "--listen", "[::1]:0") as fleet:
        assert fleet.url.startswith("http://[::1]:")
        assert fleet.get("/hello.txt") == HELLO


def test_status_tells_what_each_has_done(fleet: Served) -> None:
    fleet.get("/hello.txt")
    with pytest.raises(HTTPError, match="404"):
        fleet.get("/nothing")
    told = fleet.status()
    assert told["url"] == fleet.url + "/"
    assert [each["name"] for each in told["processes"]] == ["replica-0", "replica-1", "replica-2", "gateway"]
    assert all(each["pid"] == fleet.pid(each["name"]) for each in told["processes"])


def test_figures_are_brought_up_to_date(fleet: Served, run_dir: Path) -> None:
    fleet.get("/hello.txt")

    def requests() -> int:
        return sum(json.loads(path.read_text())["requests"] for path in run_dir.glob("replica-*.json"))

    for _ in range(10_000):  # each request takes a while, and figures are written every second
        if requests():
            return
        fleet.get("/hello.txt")
    raise AssertionError("no figures")


def test_a_gateway_may_listen_everywhere(folder: Path, run_dir: Path) -> None:
    with served(folder, run_dir, "--listen", ":0", "--udp", ":0", "--replicas", 1) as fleet:
        assert fleet.url.startswith("http://127.0.0.1:")
        assert fleet.get("/hello.txt") == HELLO


def test_a_keyring_of_ones_own(folder: Path, run_dir: Path, tmp_path: Path) -> None:
    ring = init_keystore(tmp_path / "keys")
    with served(folder, run_dir, "--keyring", tmp_path / "keys") as fleet:
        assert fleet.get("/hello.txt") == HELLO
        assert read_server_key(run_dir / "server.pub") == identity_of(ring)
        assert not (run_dir / "keys").exists()


def test_keys_made_for_a_run_directory_stay_there(folder: Path, run_dir: Path) -> None:
    identities = set()
    for _ in range(2):
        with served(folder, run_dir, "--replicas", 1, "--no-gateway") as fleet:
            identities.add(server_key_text(read_server_key(run_dir / "server.pub")))
            assert fleet.announcement == f"{folder} is served through 1 replica (UDP {fleet.udp[0]})"
    assert len(identities) == 1
    assert stat.S_IMODE((run_dir / "keys").stat().st_mode) == 0o700


def test_the_spool_may_lie_elsewhere(folder: Path, run_dir: Path, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with served(folder, run_dir, "--replicas", 1, "--spool", spool, "--status-every", "0.05") as fleet:
        request = Request(fleet.url + "/hello.txt", b"x" * 20_000, method="POST")
        with pytest.raises(HTTPError, match="405"):
            urlopen(request, timeout=PATIENCE_SECONDS)
        assert spool.is_dir()
    assert not (run_dir / "spool").exists()


def test_a_port_in_use_is_told_in_one_line(folder: Path, run_dir: Path) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as taken:
        taken.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        code, told = failure("serve", folder, "--run-dir", run_dir, "--listen", ANY_PORT, "--udp", place)
    hint = "choose another with --udp HOST:PORT (make serve: UDP_PORT=...)"
    assert (code, told) == (1, f"trickleweb serve: replica-0 did not start: UDP {place} is in use: {hint}\n")
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        code, told = failure("serve", folder, "--run-dir", run_dir, "--listen", place, "--udp", ANY_PORT)
    assert code == 1
    assert told.startswith("trickleweb serve: gateway did not start: ")
    assert told.endswith("Address already in use: choose another with --listen HOST:PORT (make serve: PORT=...)\n")
    assert not list(run_dir.glob("*.pid"))


def test_a_run_directory_in_use_is_told_in_one_line(fleet: Served, folder: Path, run_dir: Path) -> None:
    code, told = failure("serve", folder, "--run-dir", run_dir, "--listen", ANY_PORT, "--udp", ANY_PORT)
    assert (code, told) == (1, f"trickleweb serve: {run_dir} is in use by another fleet: use --run-dir OTHER\n")
    assert fleet.get("/hello.txt") == HELLO


def test_get_downloads_without_the_gateway(fleet: Served, run_dir: Path, tmp_path: Path) -> None:
    os.kill(fleet.pid("gateway"), signal.SIGKILL)
    place = tmp_path / "got"
    with Program("trickleweb", "get", "http://fleet/large.bin", "--run-dir", run_dir, "-o", place) as get:
        assert get.wait() == 0
    assert place.read_bytes() == LARGE
    code, told = failure("get", "http://fleet/nothing", "--run-dir", run_dir, "-o", tmp_path / "not")
    assert (code, told) == (1, "trickleweb get: the server answers 404 Not Found\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["got", "run"]


def test_get_of_a_gateway_says_soon_what_it_is(fleet: Served, tmp_path: Path) -> None:
    place = fleet.url.removeprefix("http://")
    code, told = failure("get", f"{fleet.url}/hello.txt", "-o", tmp_path / "got")
    assert code == 1
    assert told.startswith(f"trickleweb get: {place} speaks HTTP: it is a gateway or another web server, not a replica")
    assert not (tmp_path / "got").exists()


def test_the_access_log_has_a_line_for_each_response(folder: Path, run_dir: Path, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    with served(folder, run_dir, "--access-log", log, "--access-log-format", "common") as fleet:
        fleet.get("/hello.txt")
        with pytest.raises(HTTPError, match="404"):
            fleet.get("/nothing?x=%22")
        lines = log.read_text().splitlines()
    assert [line.partition("] ")[2] for line in lines] == [
        '"GET /hello.txt HTTP/1.1" 200 13',
        f'"GET /nothing?x=%22 HTTP/1.1" 404 {lines[1].rpartition(" ")[2]}',
    ]


def test_totals_outlive_processes(fleet: Served) -> None:
    fleet.get("/hello.txt")

    def requests() -> int:
        return sum(each["totals"].get("requests", 0) for each in fleet.status()["processes"])

    def accepted() -> int:
        return sum(each["totals"].get("accepted", 0) for each in fleet.status()["processes"])

    assert until(lambda: requests() == accepted() == 1)
    for name in ("replica-0", "replica-1", "replica-2", "gateway"):
        os.kill(fleet.pid(name), signal.SIGKILL)
        assert fleet.program.errors.next() == f"trickleweb serve: {name} ended"
        assert fleet.program.errors.next() == f"trickleweb serve: {name} is back"
    fleet.get("/hello.txt")
    assert until(lambda: requests() == accepted() == 2)


def until(condition: Callable[[], bool]) -> bool:
    """Wait until something is so; whether it was in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
    return True


def test_a_hangup_ends_nobody(fleet: Served) -> None:
    pids = fleet.pids()
    for pid in (fleet.program.pid, *pids):
        os.kill(pid, signal.SIGHUP)
    assert fleet.get("/hello.txt") == HELLO
    assert fleet.pids() == pids


def test_status_is_watched_until_the_fleet_ends(fleet: Served, run_dir: Path) -> None:
    with Program("trickleweb", "status", "--run-dir", run_dir, "--watch", "0.05") as status:
        for _ in range(2):
            assert status.output.next().startswith(f"{fleet.url}/, up ")
            for _ in range(7):  # the head, four processes, the replicas together, the keys
                status.output.next()
        fleet.program.terminate()
        assert status.wait() == 0
        assert status.output.rest().endswith("the fleet has ended\n")


def test_get_asks_for_the_identity_it_is_told(fleet: Served, run_dir: Path, tmp_path: Path) -> None:
    init_keystore(tmp_path / "others")
    wanted = (f"http://{fleet.udp[0]}/hello.txt", "-o", "-", "--server-key")
    with Program("trickleweb", "get", *wanted, run_dir / "server.pub") as get:
        assert (get.wait(), get.output.rest()) == (0, HELLO.decode())
    assert failure("get", *wanted, tmp_path / "others" / "server.pub")[0] == 1


def aged(place: Path, days: int) -> Path:
    """Keys that were made so many days ago."""
    init_keystore(place, now=wall_us() - days * DAY)
    return place


def test_old_keys_of_its_own_are_rotated_before_it_serves(folder: Path, run_dir: Path) -> None:
    run_dir.mkdir(mode=0o700)
    old = load_keyring(aged(run_dir / "keys", 90))
    with served(folder, run_dir, "--replicas", "1") as fleet:
        assert fleet.get("/hello.txt") == HELLO
        assert set(old.epochs) < set(load_keyring(run_dir / "keys").epochs)
        assert trickleweb_status(run_dir).count("WARNING") == 0
        assert fleet.program.terminate() == 0
        assert fleet.program.errors.rest() == ""


@pytest.mark.parametrize(("days", "said"), [(20, "ends in 9 days"), (31, "ended"), (-1, "begins")])
def test_given_keys_that_are_not_good_now_are_warned_of(
    folder: Path, run_dir: Path, tmp_path: Path, days: int, said: str
) -> None:
    place = aged(tmp_path / "keys", days)
    with served(folder, run_dir, "--replicas", "2", "--keyring", place) as fleet:
        warning = fleet.program.errors.next()
        assert said in warning
        assert "run `trickles keys rotate" in warning
        assert "where the fleet's identity.key is kept" in warning
        [line] = [line for line in trickleweb_status(run_dir).splitlines() if line.startswith("WARNING: ")]
        assert line.startswith("WARNING: replica-0, replica-1: the certificate of epoch ")
        assert said in line
        if said != "ends in 9 days":
            with pytest.raises(ConnectionResetError):
                fleet.get("/hello.txt")
            rotate_keystore(place, delay=0)
            assert until_served(fleet) == HELLO


def until_served(fleet: Served) -> bytes:
    """The page, once replicas have seen the new keys: they look every second."""
    for _ in range(200):
        with suppress(OSError):
            return fleet.get("/hello.txt")
    raise AssertionError("it was never served")


def trickleweb_status(run_dir: Path) -> str:
    """What people see."""
    with Program("trickleweb", "status", "--run-dir", run_dir) as status:
        assert status.wait() == 0
        return status.output.rest()
