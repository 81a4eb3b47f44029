"""Trickleweb: an HTTP framework on Trickles whose responses resume on any replica."""

from trickleweb.app import App, Routes
from trickleweb.bodies import Step, stepping, steps
from trickleweb.cookies import Cookie
from trickleweb.errors import HTTPError
from trickleweb.request import Request
from trickleweb.responses import Response

__all__ = ["App", "Cookie", "HTTPError", "Request", "Response", "Routes", "Step", "stepping", "steps"]
