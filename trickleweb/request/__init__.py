"""Requests as handlers see them."""

from trickleweb.request.body import BodyConsumed, BodyNotRead, NotSetUp, Setting
from trickleweb.request.request import Request

__all__ = ["BodyConsumed", "BodyNotRead", "NotSetUp", "Request", "Setting"]
