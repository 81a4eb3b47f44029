"""The HTTP server as a service on a listener: any replica answers any part of any response."""

from trickleweb.origin.engine import Origin
from trickleweb.origin.ports import Contents, Site
from trickleweb.origin.program import Answered, AppOrigin
from trickleweb.origin.repeats import Repeats

__all__ = ["Answered", "AppOrigin", "Contents", "Origin", "Repeats", "Site"]
