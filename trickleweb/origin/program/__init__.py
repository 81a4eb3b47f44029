"""Programs behind the HTTP server: run once, resumed anywhere."""

from trickleweb.origin.answered import Answered
from trickleweb.origin.program.engine import AppOrigin

__all__ = ["Answered", "AppOrigin"]
