"""Uploads to one address that stands for two machines with a spool each, while the route moves between them.

client - router - one
               \\- two

The replicas share keyring and ledger. `python -m tests.e2e.test_split_spools N` runs N uploads of 8 MB
for each way of moving, and prints how many were right or refused.
"""

import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from tests.support.namespaces import Machines, machines
from tests.support.processes import PATIENCE_SECONDS, ROOT, ListeningProgram, Program
from tests.support.system import require

pytestmark = pytest.mark.e2e

HOST, PORT = "10.9.9.9", 4433
HOSTS = {"one": 2, "two": 3}
KEPT_BYTES = 16 << 20
Move = Callable[["Bed"], None]


class Bed:
    """The machines, their replicas, and a gateway on the client's."""

    def __init__(self, net: Machines, place: Path, undo: ExitStack) -> None:
        self.net = net
        self._place = place
        keys = place / "keys"
        subprocess.run(
            [sys.executable, "-m", "trickles", "keys", "init", keys], check=True, capture_output=True, cwd=ROOT
        )
        net.cable("client", "router", 1, mtu=1500)
        net.route("client", 9, via=1, number=2)
        net.set("router", "net.ipv4.ip_forward", 1)
        for name, network in HOSTS.items():
            net.cable("router", name, network, mtu=1500)
            net.route(name, 1, via=network, number=1)
            net.answer_for(name, HOST)
            words = ("--udp", f"{HOST}:{PORT}", "--keyring", keys, "--app", "tests.support.hashing_program:app")
            own = ("--ledger", place / "ledger", "--spool", place / f"spool-{name}")
            replica = undo.enter_context(Program("trickleweb", "replica", *words, *own, namespace=net.name(name)))
            assert replica.output.next().startswith("replica on")
        self.move("one")
        words = ("--listen", "127.0.0.1:0", "--server-key", keys / "server.pub", "--replica", f"{HOST}:{PORT}")
        gateway = undo.enter_context(ListeningProgram(*words, namespace=net.name("client")))
        self.url = f"http://127.0.0.1:{gateway.addresses[0][1]}/upload"

    def move(self, name: str) -> None:
        """Let the route lead to that machine."""
        self.net.lead("router", HOST, HOSTS[name], 2)

    def spooled(self, name: str) -> int:
        """How many bytes lie in that machine's spool."""
        return sum(log.stat().st_size for log in (self._place / f"spool-{name}").glob("??/*"))


def reached(bed: Bed, name: str, goal: int) -> None:
    """Wait until so much lies in that machine's spool."""
    until = time.monotonic() + PATIENCE_SECONDS
    while bed.spooled(name) < goal:
        assert time.monotonic() < until, f"nothing comes to {name}"
        time.sleep(0.005)


def there_and_back(bed: Bed) -> None:
    """For as long as a few pieces take."""
    before = bed.spooled("two")
    bed.move("two")
    reached(bed, "two", before + 10_000)
    bed.move("one")


def for_a_moment(bed: Bed) -> None:
    """For as long as two commands take."""
    bed.move("two")
    bed.move("one")


def for_a_while(bed: Bed) -> None:
    """For half a second."""
    bed.move("two")
    time.sleep(0.5)
    bed.move("one")


def for_good(bed: Bed) -> None:
    """And not back."""
    bed.move("two")


WAYS: tuple[Move, ...] = (for_a_moment, there_and_back, for_a_while, for_good)


def uploaded(bed: Bed, body: bytes, move: Move, share: float = 0.25) -> tuple[str, str]:
    """One upload; after that share of it the route moves. "right", "refused" or "wrong", and what curl got."""
    first = int(len(body) * share)
    bed.move("one")
    before = bed.spooled("one")
    words = [
        "curl",
        "-sS",
        "--max-time",
        str(2 * PATIENCE_SECONDS),
        "-H",
        "Expect:",
        "-T",
        "-",
        "-w",
        " [%{http_code}]",
    ]
    with subprocess.Popen(
        ["ip", "netns", "exec", bed.net.name("client"), *words, bed.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as curl:
        assert curl.stdin is not None
        try:
            curl.stdin.write(body[:first])
            curl.stdin.flush()
            reached(bed, "one", before + first // 2)
            move(bed)
            curl.stdin.write(body[first:])
        except BrokenPipeError:
            pass
        said = curl.communicate()[0].decode(errors="replace")
    if "[200]" not in said:
        return "refused", said
    return "right" if said.startswith(f"{sha256(body).hexdigest()} {len(body)}\n") else "wrong", said


@contextmanager
def bed() -> Iterator[Bed]:
    """Machines for a while."""
    require("curl")
    with machines() as net, tempfile.TemporaryDirectory() as place, ExitStack() as undo:
        yield Bed(net, Path(place), undo)


@pytest.mark.slow
def test_an_upload_that_changes_machines_is_right_or_refused() -> None:
    with bed() as made:
        for number, move in enumerate(WAYS):
            outcome, said = uploaded(made, Random(number).randbytes(3_000_000), move)
            assert outcome == "right", f"{move.__name__}: {said}"


@pytest.mark.slow
def test_one_that_is_too_large_to_be_kept_is_refused_in_words() -> None:
    with bed() as made:
        outcome, said = uploaded(made, Random(9).randbytes(3 * KEPT_BYTES), for_good, 0.9)
    assert outcome == "refused"
    assert "[503]" in said
    assert "nothing was done" in said


def main(count: int) -> None:
    """Print a table of outcomes."""
    with bed() as made:
        for move in WAYS:
            outcomes = Counter(uploaded(made, Random(n).randbytes(8_000_000), move)[0] for n in range(count))
            print(
                f"{move.__name__:16}", ", ".join(f"{outcomes[each]} {each}" for each in ("right", "refused", "wrong"))
            )


if __name__ == "__main__":
    main(int(sys.argv[1]))
