"""The HTTP server as a service on a listener: any replica answers any part of any response."""

from trickleweb.origin.engine import Origin
from trickleweb.origin.ports import Contents, Site

__all__ = ["Contents", "Origin", "Site"]
