"""Write the reference of the public names, from their docstrings: python docs/make_reference.py FOLDER."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

PACKAGES = ("trickles", "trickles.httpx", "trickleweb")


def resolved() -> Iterator[str]:
    """The packages, with all public names in them: they come on first use, and pdoc looks without using any."""
    for package in PACKAGES:
        module = import_module(package)
        for name in module.__all__:
            setattr(module, name, getattr(module, name))
        yield package


def main(folder: str) -> None:
    """Write the pages."""
    from pdoc import pdoc

    pdoc(*resolved(), output_directory=Path(folder))


if __name__ == "__main__":
    main(sys.argv[1])
