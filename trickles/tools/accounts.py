"""Accounts of the connections in a capture: numbers, window, holes, replicas, bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from trickles.drivers.addresses import shown
from trickles.ranges import Range, RangeSet
from trickles.tools.earning import earning
from trickles.tools.lines import ranges
from trickles.tools.sightings import SeenPiece, SeenRefusal, SeenRequest, SeenResponse, Sighting
from trickles.trickle import Episode
from trickles.wire.kinds import Address, Kind, RequestFlag, ResponseFlag, Suite

_COUNTED_FLAGS = {RequestFlag.RESTART: "restarts", RequestFlag.PROBE: "probes", RequestFlag.COMMIT: "commits"}


@dataclass(slots=True)
class Account:
    """A connection as the capture shows it; sizes are UDP payload bytes."""

    name: str
    client: Address
    began_us: int
    ended_us: int = 0
    suite: Suite = Suite.SEALED
    datagrams: Counter[Kind] = field(default_factory=Counter)
    up_bytes: int = 0
    down_bytes: int = 0
    replicas: Counter[Address] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    numbers: RangeSet = field(default_factory=RangeSet)
    data: RangeSet = field(default_factory=RangeSet)
    data_bytes: int = 0
    twice: int = 0
    uploaded: RangeSet = field(default_factory=RangeSet)
    shorts: set[int] = field(default_factory=set)  # numbers at which a grant ended early
    bases: set[int] = field(default_factory=set)  # where episodes begin
    episode: Episode | None = None
    window: int | None = None  # of the last opened request
    end: int | None = None

    def add(self, sighting: Sighting) -> None:
        self.ended_us = sighting.time_us
        self.suite, self.client = sighting.suite, sighting.client
        if sighting.kind is not None:
            self.datagrams[sighting.kind] += 1
        if sighting.to_server:
            self.up_bytes += sighting.size_bytes
        else:
            self.down_bytes += sighting.size_bytes
            self.replicas[sighting.replica] += 1
        match sighting.what:
            case SeenRequest() as request:
                self._request(request)
            case SeenResponse() as response:
                self._response(response)
            case SeenRefusal(head):
                self.refusals[head.code.name] += 1
            case SeenPiece(_, _, start, stop) if start is not None and stop is not None:
                self.uploaded.add(start, stop)
            case _:
                pass

    def _request(self, request: SeenRequest) -> None:
        if request.body is None:
            return
        for flag, name in _COUNTED_FLAGS.items():
            self.flags[name] += bool(request.body.flags & flag)
        if request.opened is None or request.body.flags & RequestFlag.RESTART:
            return
        earned = earning(request.body, request.opened.state.episode)
        self.window = earned.window if earned else self.window

    def _response(self, response: SeenResponse) -> None:
        number, stop = response.number, response.offset + response.data_bytes
        if not response.flags & ResponseFlag.REPEATED:  # a repeated packet proves nothing
            self.twice += self.numbers.contains(number, number + 1)
            self.numbers.add(number, number + 1)
        self.data.add(response.offset, stop)
        self.data_bytes += response.data_bytes
        if response.flags & ResponseFlag.SHORT:
            self.shorts.add(number)
        if response.flags & ResponseFlag.END:
            self.end = stop
        if response.transport is not None:
            self._rebase(response.transport.episode)

    def _rebase(self, episode: Episode) -> None:
        self.bases.add(episode.base)
        if self.episode is None or episode.base >= self.episode.base:
            self.episode = episode

    # the report

    def gaps(self) -> tuple[list[Range], int]:
        """Return the holes among the numbers, and how many missing numbers are void or were skipped."""
        holes: list[Range] = []
        void = 0
        parts = list(self.numbers)
        for (_, start), (stop, _) in pairwise(parts):
            if start - 1 in self.shorts or stop in self.bases:
                void += stop - start
            else:
                holes.append((start, stop))
        return holes, void

    def last_window(self) -> int | None:
        """Return the window at the end of the capture: of an opened request, or computed from frames and numbers."""
        if self.window is not None or self.episode is None:
            return self.window
        reached = next((stop for start, stop in self.numbers if start <= self.episode.base < stop), self.episode.base)
        return self.episode.window(reached)

    def summary(self) -> Iterator[str]:
        """Yield a few lines for people."""
        took = (self.ended_us - self.began_us) / 1e6
        suite = self.suite.name.lower()
        yield f"connection {self.name} of {shown(self.client)}, suite {suite}, {took:.6f} s"
        kinds = " ".join(f"{kind.name} {count}" for kind, count in sorted(self.datagrams.items()))
        yield f"  datagrams  {kinds}; {self.up_bytes} B up, {self.down_bytes} B down"
        yield from self._numbers()
        if self.data or self.end is not None:
            fresh = sum(stop - start for start, stop in self.data)
            ended = "" if self.end is None else f", ends at {self.end}"
            yield f"  output     {fresh} B, {self.data_bytes - fresh} B sent again{ended}"
        if self.uploaded:
            yield f"  spooled    {ranges(list(self.uploaded))}"
        for title, counts in (("requests", self.flags), ("refusals", self.refusals)):
            listed = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()) if count)
            if listed:
                yield f"  {title}   {listed}"
        if self.replicas:
            yield "  replicas   " + ", ".join(f"{shown(each)} {count}" for each, count in sorted(self.replicas.items()))

    def _numbers(self) -> Iterator[str]:
        parts = list(self.numbers)
        if not parts:
            return
        holes, void = self.gaps()
        seen = sum(stop - start for start, stop in parts)
        holed = f"{len(holes)} holes {ranges(holes)}" if holes else "no holes"
        yield f"  numbers    [{parts[0][0]},{parts[-1][1]}): {seen} seen, {holed}, {void} void, {self.twice} twice"
        if self.episode is not None:
            episode, window = self.episode, self.last_window()
            law = f"base {episode.base} start {episode.start} ssthresh {episode.ssthresh}"
            yield f"  window     {window} packets; episode {law}; {len(self.bases)} episodes seen"


class Accounts:
    """The accounts of all connections in a capture, and datagrams without a connection."""

    def __init__(self) -> None:
        self.accounts: dict[bytes | Address, Account] = {}
        self.nameless: Counter[str] = Counter()

    def add(self, sighting: Sighting) -> None:
        """Add one sighting to its connection, or to its client while only replies were seen."""
        if sighting.connection is None and not isinstance(sighting.what, SeenResponse | SeenRefusal):
            self.nameless[sighting.kind.name if sighting.kind is not None else "unknown"] += 1
            return
        key = sighting.connection or sighting.client
        account = self.accounts.get(key)
        if account is None:
            name = sighting.connection.hex() if sighting.connection else "without a name"
            account = self.accounts[key] = Account(name, sighting.client, sighting.time_us)
        account.add(sighting)

    def summary(self) -> Iterator[str]:
        for account in self.accounts.values():
            yield from account.summary()
        if self.nameless:
            counts = ", ".join(f"{name} {count}" for name, count in sorted(self.nameless.items()))
            yield f"of no connection: {counts}"
