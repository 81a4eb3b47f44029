"""Requests as handlers see them."""

from trickleweb.request.body import BodyConsumed, BodyNotRead
from trickleweb.request.request import Request
from trickleweb.request.setting import NotSetUp, Setting

__all__ = ["BodyConsumed", "BodyNotRead", "NotSetUp", "Request", "Setting"]
