"""Tests of applications: a client without a server, and chaos, which checks whether responses resume."""

from trickleweb.testing.answer import Answer, ResponseHeaders, StatusError
from trickleweb.testing.asynchronous import AsyncClient
from trickleweb.testing.client import Client
from trickleweb.testing.collecting import IncompleteResponse
from trickleweb.testing.cookies import CookieJar
from trickleweb.testing.fleet import Transfer, VirtualFleet
from trickleweb.testing.killing import Break, ChaosBounds, Verdict, chaos, get, run_chaos

__all__ = [
    "Answer", "AsyncClient", "Break", "ChaosBounds", "Client", "CookieJar", "IncompleteResponse", "ResponseHeaders",
    "StatusError", "Transfer", "Verdict", "VirtualFleet", "chaos", "get", "run_chaos",
]  # fmt: skip
