"""Fixtures of several test modules."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.response_folders import Store
from trickleweb.response_store import ResponseBounds
from trickleweb.stores import FolderResponses


@pytest.fixture
def response_folder(tmp_path: Path) -> Path:
    """A folder for responses."""
    return tmp_path / "responses"


@pytest.fixture
def open_store(response_folder: Path) -> Iterator[Store]:
    """A function that opens one more replica's store in it; all are closed in the end."""
    opened: list[FolderResponses] = []

    def make(bounds: ResponseBounds | None = None, **options: object) -> FolderResponses:
        opened.append(FolderResponses(response_folder, bounds or ResponseBounds(), **options))  # type: ignore[arg-type]
        return opened[-1]

    yield make
    for each in opened:
        each.close()
