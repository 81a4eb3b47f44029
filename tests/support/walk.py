"""A walk through the code: which modules of the product are entered, in order, while something runs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).parent.parent.parent
_PRODUCT = (f"{ROOT}/trickles/", f"{ROOT}/trickleweb/")


class Walk:
    """`stays` are the modules as functions of them are called; calls within one module are one stay."""

    def __init__(self) -> None:
        self.stays: list[str] = []

    @property
    def rooms(self) -> list[str]:
        """Each module once, in the order in which they were first entered."""
        return list(dict.fromkeys(self.stays))

    def note(self, frame: FrameType, what: str, _: object) -> None:
        """For `sys.setprofile`."""
        place = frame.f_code.co_filename
        if what == "call" and place.startswith(_PRODUCT) and not frame.f_code.co_name.startswith("<"):
            room = place.removeprefix(f"{ROOT}/")
            if not self.stays or self.stays[-1] != room:
                self.stays.append(room)


@contextmanager
def walked() -> Iterator[Walk]:
    """Note where this thread goes meanwhile."""
    walk, before = Walk(), sys.getprofile()
    sys.setprofile(walk.note)
    try:
        yield walk
    finally:
        sys.setprofile(before)
