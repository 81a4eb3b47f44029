"""The methods of HTTP as methods of a client."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, TypeVar, Unpack

from trickleweb.testing.asking import RequestOptions

R = TypeVar("R")


class Verbs(Generic[R]):
    """A client in the style of httpx, synchronous or not."""

    @abstractmethod
    def request(self, method: str, url: str, **options: Unpack[RequestOptions]) -> R:
        """Return the response to a request."""

    def get(self, url: str, **options: Unpack[RequestOptions]) -> R:
        return self.request("GET", url, **options)

    def head(self, url: str, **options: Unpack[RequestOptions]) -> R:
        return self.request("HEAD", url, **options)

    def options(self, url: str, **options: Unpack[RequestOptions]) -> R:
        return self.request("OPTIONS", url, **options)

    def post(self, url: str, **options: Unpack[RequestOptions]) -> R:
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Unpack[RequestOptions]) -> R:
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Unpack[RequestOptions]) -> R:
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Unpack[RequestOptions]) -> R:
        return self.request("DELETE", url, **options)
