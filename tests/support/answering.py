"""Requests to a fleet of `answering_program`, and what it noted in the file that NOTES names."""

import http.client
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.support.processes import PATIENCE_SECONDS
from tests.support.served import Served
from tests.support.two_machines import TwoMachines


def notes() -> list[tuple[int, str]]:
    """What the program has noted: by which process, and what."""
    path = Path(os.environ["NOTES"])
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(line.partition(" ")[0]), line.partition(" ")[2]) for line in lines]


@contextmanager
def posted(fleet: Served | TwoMachines, target: str) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(fleet.url.removeprefix("http://"), timeout=PATIENCE_SECONDS)
    with closing(connection):
        connection.request("POST", target, b"{}")
        with connection.getresponse() as response:
            yield response
