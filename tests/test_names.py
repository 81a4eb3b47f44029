"""Unit tests bear the name of the package or module that they try: test_PACKAGE_MODULE.py, or test_PACKAGE_WORD.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OTHERS = ("docs", "support")  # the pages, and what tests lean on


def names() -> Iterator[str]:
    """What a test may begin with: innermost packages, modules in them, and `web_` before those of trickleweb."""
    for package in ("trickles", "trickleweb"):
        for path in (ROOT / package).rglob("*.py"):
            words = path.relative_to(ROOT / package).with_suffix("").parts
            words = words[:-1] if words[-1] == "__init__" else words
            for word in {"_".join(words[-2:]), words[-1] if path.stem == "__init__" else ""} if words else ():
                yield word
                yield f"web_{word}"


KNOWN = {*names(), *OTHERS} - {"", "web_"}


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "unit").glob("test_*.py")), ids=lambda path: path.stem)
def test_a_unit_test_is_named_after_what_it_tries(path: Path) -> None:
    words = path.stem.split("_")[1:]
    assert any("_".join(words[:count]) in KNOWN for count in range(1, len(words) + 1))


def test_other_names_are_found_out() -> None:
    assert not {"seals", "origin", "program", "simulator", "web_seals"} & KNOWN
    assert {"client", "client_flight", "keystore_document", "web_cli_check", "config"} <= KNOWN
