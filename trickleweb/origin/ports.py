"""What an origin stands on: a site that plans responses, and a store that reads their contents."""

from __future__ import annotations

from typing import Protocol

from trickles.service import Buffer
from trickleweb.errors import HTTPError
from trickleweb.messages import Plan, Request


class Site(Protocol):
    """Plans responses; `trickleweb.files.StaticSite` is one."""

    def plan(self, request: Request) -> Plan:
        """The response to a request, or `HTTPError`; `HashPending` when it is worth asking again soon."""

    def error_page(self, error: HTTPError) -> Plan | None:
        """The site's own response for an error, None if it has none."""


class Contents(Protocol):
    """Bytes by content name; `trickleweb.files.FileStore` is one."""

    def read(self, content: str, start: int, stop: int) -> Buffer:
        """The bytes [start, stop) of exactly that content, or `ContentNotHere`; `FilesUnavailable` for now."""

    def strong_name(self, content: str) -> str | None:
        """The name by which every machine knows a content that was begun without a hash, once there is one."""
