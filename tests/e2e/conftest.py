"""What tests of the gateway's program share; a module with another fleet has its own fixture."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Fleet
from tests.support.replica_program import PUBLIC
from trickles.drivers.keystore import server_key_text


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the key that fleets of replica programs have."""
    path = tmp_path_factory.mktemp("key") / "server.pub"
    path.write_text(server_key_text(PUBLIC) + "\n")
    return path


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """One replica."""
    with Fleet(1) as started:
        yield started
