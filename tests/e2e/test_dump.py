"""`trickles dump` on a live interface: needs the right to capture, else it is skipped."""

import select
import signal
import socket
import subprocess
import sys

import pytest

from trickles.wire.hello import ASK_BYTES
from trickles.wire.kinds import Kind

# A process started in the background may have SIGINT ignored, and would hand that down.
PROGRAM = """
import signal, sys
from trickles.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""


def may_capture() -> bool:
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0).close()
    except (OSError, AttributeError):
        return False
    return True


@pytest.mark.e2e
@pytest.mark.skipif(not may_capture(), reason="needs Linux, and root or CAP_NET_RAW")
def test_datagrams_on_an_interface_are_shown_once_each_as_they_pass() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        address = server.getsockname()
        command = [sys.executable, "-c", PROGRAM, "dump", "-i", "lo", "--port", str(address[1])]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as shown:
            assert shown.stdout is not None
            sent = 0
            while not select.select([shown.stdout], [], [], 0.05)[0]:  # until it listens
                assert shown.poll() is None
                sent += 1
                server.sendto(bytes((Kind.ASK,)).ljust(ASK_BYTES, b"\0"), address)
            shown.send_signal(signal.SIGINT)
            lines = shown.stdout.read().splitlines()
    asks = [line for line in lines if " ASK " in line and f"> 127.0.0.1:{address[1]}" in line]
    assert asks
    assert len(asks) <= sent
    assert lines[-1] == f"of no connection: ASK {len(asks)}"
