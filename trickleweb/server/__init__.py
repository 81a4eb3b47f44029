"""The HTTP server as a service on a listener: any replica answers any part of any response."""

from trickleweb.server.context import FleetResources
from trickleweb.server.observer import Answered
from trickleweb.server.repeats import Repeats
from trickleweb.server.service import HttpService

__all__ = ["Answered", "FleetResources", "HttpService", "Repeats"]
