"""Trickleweb: an HTTP framework on Trickles whose responses resume on any replica.

Public names are loaded at first use, so that a replica of files and commands like `status` start without the framework.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trickles.faces import at_first_use

if TYPE_CHECKING:
    from trickleweb.app import App, Routes
    from trickleweb.bodies import Step, stepping, steps
    from trickleweb.cookies import Cookie
    from trickleweb.errors import HTTPError
    from trickleweb.request import Request
    from trickleweb.responses import Response

__all__ = ["App", "Cookie", "HTTPError", "Request", "Response", "Routes", "Step", "stepping", "steps"]

# public name -> module of the package
_HOMES = {
    "App": "app",
    "Cookie": "cookies",
    "HTTPError": "errors",
    "Request": "request",
    "Response": "responses",
    "Routes": "app",
    "Step": "bodies",
    "stepping": "bodies",
    "steps": "bodies",
}

__getattr__ = at_first_use("trickleweb", _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
