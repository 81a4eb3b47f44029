"""Files as strangers have them: new ones without a hash, logs that grow, trees that are linked and switched."""

import http.client
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.processes import PATIENCE_SECONDS
from tests.support.served import Served, served

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("serve")]

BLOCK = 1 << 20
BLOCKS = 200


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("strangers")
    for release in ("one", "two"):
        (folder / release).mkdir()
        (folder / release / "page").write_bytes(release.encode() * 50_000)
    (folder / "site").symlink_to("one")
    with served(folder / "site", folder / "run") as started:
        assert started.get("/page").startswith(b"one")
        yield started


def site(fleet: Served) -> Path:
    return fleet.run_dir.parent / "one"


def asked(fleet: Served, path: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(urlsplit(fleet.url).netloc, timeout=PATIENCE_SECONDS)
    connection.request("GET", path)
    return connection, connection.getresponse()


def marked(path: Path) -> Path:
    """A large file that takes little disk, each block of which says which one it is."""
    with path.open("wb") as file:
        for number in range(BLOCKS):
            file.seek(number * BLOCK)
            file.write(b"%016d" % number)
        file.truncate(BLOCKS * BLOCK)
    return path


def is_block(data: bytes, number: int) -> bool:
    return data == (b"%016d" % number).ljust(BLOCK, b"\0")


def test_a_file_without_a_hash_outlives_every_replica_that_sends_it(fleet: Served) -> None:
    marked(site(fleet) / "new.bin")
    connection, response = asked(fleet, "/new.bin")
    with closing(connection):
        assert str(response.getheader("ETag")).startswith('W/"')
        for number in range(BLOCKS):
            if number in (3, 50, 100):
                os.kill(fleet.pid(f"replica-{(3, 50, 100).index(number)}"), signal.SIGKILL)
            assert is_block(response.read(BLOCK), number), number
        assert response.read() == b""


def test_links_and_modes_disturb_no_download(fleet: Served) -> None:
    file = marked(site(fleet) / "linked.bin")
    connection, response = asked(fleet, "/linked.bin")
    with closing(connection):
        for number in range(BLOCKS):
            if number % 10 == 0:
                (site(fleet) / f"link-{number}").hardlink_to(file)
                file.chmod(0o600 if number % 20 else 0o644)
            assert is_block(response.read(BLOCK), number), number


def test_a_log_that_grows_is_served_as_it_is(fleet: Served) -> None:
    log, done = marked(site(fleet) / "log"), threading.Event()

    def write() -> None:
        with log.open("ab", 0) as out:
            while not done.wait(0.01):
                out.write(b"a line of the log\n")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        connection, response = asked(fleet, "/log")
        with closing(connection):
            assert response.status == 200
            for number in range(BLOCKS):
                assert is_block(response.read(BLOCK), number), number
            lines = response.read()
    finally:
        done.set()
        writer.join()
    assert lines == b"a line of the log\n" * (len(lines) // 18)


def test_a_root_that_is_switched_is_one_release_or_the_other(fleet: Served) -> None:
    link, done = fleet.run_dir.parent / "site", threading.Event()

    def switch() -> None:
        releases = ["two", "one"]
        while not done.is_set():
            link.with_name("next").symlink_to(releases[0])
            link.with_name("next").replace(link)
            releases.reverse()

    switcher = threading.Thread(target=switch)
    switcher.start()
    seen = set[bytes]()
    connection = http.client.HTTPConnection(urlsplit(fleet.url).netloc, timeout=PATIENCE_SECONDS)
    try:
        with closing(connection):
            for _ in range(400):
                connection.request("GET", "/page")
                response = connection.getresponse()
                data = response.read()
                assert response.status == 200
                assert data in (b"one" * 50_000, b"two" * 50_000)
                seen.add(data)
    finally:
        done.set()
        switcher.join()
        link.with_name("next").symlink_to("one")
        link.with_name("next").replace(link)
    assert len(seen) == 2
