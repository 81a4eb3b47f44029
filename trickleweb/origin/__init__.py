"""The HTTP server as a service on a listener: any replica answers any part of any response."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trickleweb.origin.answered import Answered
from trickleweb.origin.engine import Origin
from trickleweb.origin.ports import Contents, Site
from trickleweb.origin.repeats import Repeats

if TYPE_CHECKING:
    from trickleweb.origin.program import AppOrigin

__all__ = ["Answered", "AppOrigin", "Contents", "Origin", "Repeats", "Site"]


def __getattr__(name: str) -> object:
    """What programs need is imported when one is served: a replica of files starts sooner without it."""
    if name != "AppOrigin":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from trickleweb.origin.program import AppOrigin

    return AppOrigin
