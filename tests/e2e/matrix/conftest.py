"""One fleet for the whole matrix, over all that its programs come for; its replicas die one after another."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import offerings
from tests.support.deaths import REPLICAS, Deaths, Matrix
from tests.support.served import served
from tests.support.system import require

LARGE_BYTES = 60_000_000
SMALL_FILES = 40


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that is served."""
    folder = tmp_path_factory.mktemp("matrix") / "site"
    (folder / "small").mkdir(parents=True)
    (folder / "large.bin").write_bytes(offerings.bytes_of("large", LARGE_BYTES))
    for index in range(SMALL_FILES):
        (folder / "small" / f"{index}.bin").write_bytes(offerings.bytes_of(f"small {index}", 1_000_000))
    return folder


@pytest.fixture(scope="package")
def matrix(request: pytest.FixtureRequest, site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    assert request.node.path == Path(__file__).parent, "the fleet would outlive its package"
    large = (site / "large.bin").read_bytes()
    small = [(site / "small" / f"{index}.bin").read_bytes() for index in range(SMALL_FILES)]
    run_dir = tmp_path_factory.mktemp("run") / "run"
    with served(site, run_dir, "--replicas", REPLICAS) as fleet, Deaths(fleet) as deaths:
        yield Matrix(deaths, large, small)
    assert deaths.count > 0


@pytest.fixture
def curl() -> str:
    """The path of curl."""
    return require("curl")
