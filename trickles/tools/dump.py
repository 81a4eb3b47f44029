"""A capture as text: one line for each datagram, then a summary of each connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trickles.tools.accounts import Accounts
from trickles.tools.capture import Captured
from trickles.tools.lines import line
from trickles.tools.observer import DatagramObserver
from trickles.tools.opener import Opener


class Dump:
    """Lines of datagrams, and a summary of those so far."""

    def __init__(self, opener: Opener | None = None, port: int | None = None) -> None:
        self._observer = DatagramObserver(opener)
        self._port = port
        self._began_us: int | None = None
        self._accounts = Accounts()

    def line(self, captured: Captured) -> str | None:
        """Return the line for one datagram; None for other protocols."""
        if not self._concerns(captured):
            return None
        sighting = self._observer.see(captured)
        if sighting.kind is None and self._port is None:
            return None  # some other protocol
        if self._began_us is None:
            self._began_us = captured.time_us
        self._accounts.add(sighting)
        return line(sighting, self._began_us)

    def summary(self) -> Iterator[str]:
        yield from self._accounts.summary()

    def _concerns(self, captured: Captured) -> bool:
        return self._port is None or self._port in (captured.source[1], captured.destination[1])


def dump(captured: Iterable[Captured], opener: Opener | None = None, *, port: int | None = None) -> Iterator[str]:
    """Yield all lines of a capture, a blank one and the summary; with `port`, only datagrams from and to it."""
    view = Dump(opener, port)
    for each in captured:
        text = view.line(each)
        if text is not None:
            yield text
    yield ""
    yield from view.summary()
