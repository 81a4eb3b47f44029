"""ASGI both ways: ASGI programs on replicas, and an `Application` under any ASGI server."""

from trickleweb.asgi.application import AsgiApplication
from trickleweb.asgi.hosted import Hosted
from trickleweb.asgi.lifespan import LifespanFailed
from trickleweb.asgi.outgoing import ProgramError
from trickleweb.asgi.outward import as_asgi

__all__ = ["AsgiApplication", "Hosted", "LifespanFailed", "ProgramError", "as_asgi"]
