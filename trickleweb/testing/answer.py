"""A response in a test, in the style of httpx."""

from __future__ import annotations

import json as jsons
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from trickleweb.headers import Headers
from trickleweb.responses import Response
from trickleweb.testing.cookies import CookieJar


class ResponseHeaders(Mapping[str, str]):
    """Header fields by name, without case; several of one name are joined by commas."""

    def __init__(self, fields: Headers) -> None:
        self.fields = fields

    def get_list(self, name: str) -> list[str]:
        """Return all values of that name."""
        return list(self.fields.all(name))

    def __getitem__(self, name: str) -> str:
        value = self.fields.joined(name)
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.lower() for name, _ in self.fields))

    def __len__(self) -> int:
        return len(list(iter(self)))


class StatusError(AssertionError):
    """The error of `raise_for_status`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete response; `made` is the application's own."""

    status_code: int
    headers: ResponseHeaders
    content: bytes
    url: str
    made: Response
    history: tuple[Answer, ...] = field(default=(), repr=False)

    @property
    def text(self) -> str:
        """The content as text, in its charset, by default UTF-8."""
        _, _, charset = self.headers.get("content-type", "").partition("charset=")
        return self.content.decode(charset.strip('"') or "utf-8")

    def json(self) -> Any:
        """Return the value of JSON content."""
        return jsons.loads(self.content)

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies that this response set."""
        jar = CookieJar()
        for each in self.headers.get_list("set-cookie"):
            jar.learn(each)
        return jar

    @property
    def is_success(self) -> bool:
        """True if the status is 2xx."""
        return 200 <= self.status_code < 300

    @property
    def is_redirect(self) -> bool:
        """True if it redirects the client."""
        return self.status_code in (301, 302, 303, 307, 308) and "location" in self.headers

    def raise_for_status(self) -> Answer:
        """Return itself; raise `StatusError` with the beginning of the text for 4xx and 5xx."""
        if self.status_code >= 400:
            raise StatusError(f"{self.status_code} for {self.url}: {self.content[:500].decode('utf-8', 'replace')}")
        return self
