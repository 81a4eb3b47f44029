"""A gateway that hundreds of programs do not read from: its memory stays small, and goes back when they have left."""

import json
import socket
from pathlib import Path

import pytest

from tests.support.footprint import footprint
from tests.support.processes import Fleet, GatewayProgram, received
from tests.support.replica_program import tape

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PROGRAMS = 400
MEBI = 1 << 20
LEAST_BYTES = 50_000  # that the gateway is brought for each before it has enough


def small(gateway: GatewayProgram) -> None:
    """A small request of somebody else."""
    with gateway.dial() as program:
        program.sendall(b"get 10\n")
        program.shutdown(socket.SHUT_WR)
        assert received(program) == tape(0, 10)


def settled(gateway: GatewayProgram, status: Path, least_bytes: int) -> dict[str, int]:
    """The gateway's figures once two in a row show no more output than that of small requests; they go on meanwhile."""
    shown, before = status.stat().st_mtime_ns, -1
    while True:
        small(gateway)
        if (now := status.stat().st_mtime_ns) != shown:
            figures: dict[str, int] = json.loads(status.read_text())
            if figures["bytes_out"] - before < LEAST_BYTES and figures["bytes_out"] >= least_bytes:
                return figures
            shown, before = now, figures["bytes_out"]


def test_programs_that_do_not_read_cost_little_memory_and_nobody_else_an_answer(key: Path, tmp_path: Path) -> None:
    status = tmp_path / "status"
    words = ("--server-key", key, "--status-file", status)
    with Fleet(2) as fleet, GatewayProgram(fleet.addresses, *words) as gateway:
        small(gateway)
        empty_bytes = footprint(gateway.pid).resident_bytes
        programs = []
        for _ in range(PROGRAMS):
            program = gateway.dial()
            program.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            program.sendall(b"get 1000000000\n" * 20)
            programs.append(program)
        figures = settled(gateway, status, PROGRAMS * LEAST_BYTES)
        assert figures["live"] >= PROGRAMS
        assert 0 < figures["unread_bytes"] < 128 * MEBI
        full_bytes = footprint(gateway.pid).resident_bytes - empty_bytes
        assert full_bytes < 192 * MEBI, full_bytes
        for program in programs:
            program.close()
        while json.loads(status.read_text())["live"] > 1:
            small(gateway)
        settled(gateway, status, 0)
        assert footprint(gateway.pid).resident_bytes - empty_bytes < full_bytes // 2 + 32 * MEBI
        assert gateway.terminate() == 0
