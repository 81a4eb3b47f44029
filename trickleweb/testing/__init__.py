"""Testing applications: a client that needs no server."""

from trickleweb.testing.answer import Answer, ResponseHeaders, StatusError
from trickleweb.testing.asynchronous import AsyncClient
from trickleweb.testing.client import Client
from trickleweb.testing.collecting import IncompleteResponse
from trickleweb.testing.cookies import CookieJar

__all__ = ["Answer", "AsyncClient", "Client", "CookieJar", "IncompleteResponse", "ResponseHeaders", "StatusError"]
