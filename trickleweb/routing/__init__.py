"""Routes to handlers: templates matched in linear time, and filled in to make URLs."""

from trickleweb.routing.router import Found, Missing, Moved, NotAllowed, Options, Router, Verdict
from trickleweb.routing.routes import BadRoute, Include, Mount, NoSuchRoute, Route

__all__ = [
    "BadRoute", "Found", "Include", "Missing", "Mount", "Moved", "NoSuchRoute", "NotAllowed", "Options", "Route",
    "Router", "Verdict",
]  # fmt: skip
