"""`trickles attack` against real replicas: on loopback, and behind a veth cable in a namespace of its own."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.namespaces import machines
from tests.support.processes import ROOT, Program, ready
from trickles.drivers.addresses import shown

pytestmark = pytest.mark.e2e
REQUEST = r"get 100000000\n"


def attacked(words: Sequence[object], tmp_path: Path, namespace: str | None = None) -> subprocess.CompletedProcess[str]:
    prefix = ["ip", "netns", "exec", namespace] if namespace else []
    command = [*prefix, sys.executable, "-m", "trickles", "attack", *map(str, words), "--request", REQUEST]
    environment = {"TRICKLES_KNOWN_HOSTS": str(tmp_path / "known_hosts"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=120)


def gains(output: str) -> dict[str, Any]:
    return {each["name"]: each for each in json.loads(output)["attacks"]}


def test_a_replica_on_loopback_holds_and_serves_on(tmp_path: Path) -> None:
    with Program("tests.support.replica_program") as replica:
        where = shown(ready(replica))
        words = ["replay", "optimistic-acknowledgement", "spoofed-source", "--rounds", 8, "--json", "--replica", where]
        for _ in range(2):  # the second time, what the first left behind does no harm
            done = attacked(words, tmp_path)
            assert done.returncode == 0, done.stderr
            found = gains(done.stdout)
            assert found["replay"]["replica"]["sent"] == 80
            assert found["replay"]["replica"]["gain"] == 0
            assert found["optimistic-acknowledgement"]["replica"]["gain"] == 0
            assert 0 < found["spoofed-source"]["replica"]["gain"] <= 3
            assert all(each["undefended"]["gain"] > 10 for each in found.values())


def test_a_replica_in_a_namespace_may_be_attacked_from_another(tmp_path: Path) -> None:
    with machines() as made:
        made.cable("client", "server", 61, mtu=1500)
        program = Program("tests.support.replica_program", "--host", "10.9.61.2", namespace=made.name("server"))
        with program as replica:
            where = shown(ready(replica))
            words = ["replay", "spoofed-source", "--rounds", 3, "--json", "--replica"]
            done = attacked([*words, where], tmp_path, made.name("client"))
            assert done.returncode == 0, done.stderr
            assert gains(done.stdout)["replay"]["replica"]["gain"] == 0
            assert gains(done.stdout)["spoofed-source"]["replica"]["gain"] <= 3
            port = where.rpartition(":")[2]
            for foreign in (f"10.9.61.3:{port}", f"10.9.61.1:{port}"):  # nobody's; one where no process lives
                done = attacked([*words, foreign], tmp_path, made.name("client"))
                assert done.returncode == 1
                assert "neither a loopback address nor one of a network namespace" in done.stderr
            done = attacked([*words, where], tmp_path)  # from where no cable leads there
            assert done.returncode == 1
            assert "no veth cable" in done.stderr


def test_a_false_identity_ends_it_before_the_first_attack(tmp_path: Path) -> None:
    with Program("tests.support.replica_program") as replica:
        where = shown(ready(replica))
        key = "Yndc9qkr0l24tGbV092vY0qKNbHGNPxtyFB71g9SMoj="
        (tmp_path / "known_hosts").write_text(f"{where} trickles-ed25519 {key}\n")
        done = attacked(["replay", "--rounds", 1, "--replica", where], tmp_path)
        assert done.returncode == 1
        assert "identity" in done.stderr or "damaged" in done.stderr
        assert done.stdout == ""


def test_nobody_there_is_an_error(tmp_path: Path) -> None:
    with Program("tests.support.replica_program") as replica:
        where = shown(ready(replica))
    done = attacked(["replay", "--rounds", 1, "--replica", where], tmp_path)
    assert done.returncode == 1
    assert "nobody listens" in done.stderr or "no replica answers" in done.stderr
