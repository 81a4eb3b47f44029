"""Trickleweb: an HTTP framework on Trickles whose responses resume on any replica.

Public names are loaded at first use, so that a replica of files and commands like `status` start without the framework.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trickleweb.app import App, Routes
    from trickleweb.bodies import Step, stepping, steps
    from trickleweb.cookies import Cookie
    from trickleweb.errors import HTTPError
    from trickleweb.request import Request
    from trickleweb.responses import Response

__all__ = ["App", "Cookie", "HTTPError", "Request", "Response", "Routes", "Step", "stepping", "steps"]

# public name -> module
_HOMES = {
    "App": "trickleweb.app",
    "Cookie": "trickleweb.cookies",
    "HTTPError": "trickleweb.errors",
    "Request": "trickleweb.request",
    "Response": "trickleweb.responses",
    "Routes": "trickleweb.app",
    "Step": "trickleweb.bodies",
    "stepping": "trickleweb.bodies",
    "steps": "trickleweb.bodies",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'trickleweb' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
