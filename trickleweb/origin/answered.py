"""What is told of each request that was answered: for access logs and figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trickleweb.messages import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One request, when its response begins; times in microseconds, `began_us` since 1970.

    `head` is None where the input was no request, `body_bytes` where the body is made as it is asked for. `resumed`
    tells that another replica began the response, and this one goes on with it.
    """

    head: Request | None
    peer: str
    status: int
    body_bytes: int | None
    began_us: int
    took_us: int
    resumed: bool

    @classmethod
    def gone_on_with(cls, peer: str, began_us: int, now_us: int) -> Answered:
        """Another replica's response, of which this one knows no more than that."""
        took = max(now_us - began_us, 0)
        return cls(head=None, peer=peer, status=0, body_bytes=None, began_us=began_us, took_us=took, resumed=True)


Observe = Callable[[Answered], None]


def unobserved(_answered: Answered) -> None:
    """Nobody wants to know."""
