"""The test vectors of the docs, as they stand in docs/vectors.json."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent.parent / "docs"
VECTORS: dict[str, Any] = json.loads((DOCS / "vectors.json").read_text(encoding="ascii"))


def made_now() -> Any:
    """The vectors as the script makes them with the library as it is."""
    return runpy.run_path(str(DOCS / "make_vectors.py"))["vectors"]()


def octets(text: str) -> bytes:
    """The bytes behind hex."""
    return bytes.fromhex(text)
