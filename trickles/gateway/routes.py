"""Which fleet a host stands for: the entries of --map and --map-file, and how a host finds its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from trickles.errors import BadPacket, LocalProtocolError
from trickles.gateway.targets import authority_untrusted, bracketed_untrusted, host_untrusted

WILD, ANY = "*.", "*"
MOST_ENTRIES = 100_000  # of one map
Pattern = tuple[str, int | None]  # a host, `*.` and a domain, or `*` for all; and a port, None for any
Fleet = TypeVar("Fleet")


@dataclass(frozen=True, slots=True)
class FleetSpec:
    """A fleet as a command line or a map names it: replicas, and the file of its identity."""

    replicas: tuple[str, ...]
    key: str | None = None


def parsed_entry(text: str) -> tuple[Pattern, FleetSpec]:
    """`HOST=REPLICA[,REPLICA...][;key=FILE]`; LocalProtocolError for what is none."""
    host, equals, rest = text.partition("=")
    replicas, semicolon, option = rest.partition(";")
    word, _, key = option.partition("=")
    names = tuple(name.strip() for name in replicas.split(","))
    if not equals or not all(names) or (semicolon and (word.strip() != "key" or not key.strip())):
        raise LocalProtocolError(f"not HOST=REPLICA[,REPLICA...][;key=FILE]: {text!r}")
    return _pattern(host.strip()), FleetSpec(names, key.strip() or None)


def parsed_map(text: str) -> list[str]:
    """The entries of a map file: a line each; empty lines and those that begin with # say nothing."""
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def specs(entries: Iterable[str]) -> dict[Pattern, FleetSpec]:
    """All entries by what they match; LocalProtocolError for one that is none, that comes twice, or too many."""
    found: dict[Pattern, FleetSpec] = {}
    for entry in entries:
        pattern, spec = parsed_entry(entry)
        if pattern in found:
            raise LocalProtocolError(f"two entries for one host: {entry!r}")
        if len(found) >= MOST_ENTRIES:
            raise LocalProtocolError(f"more than {MOST_ENTRIES} entries")
        found[pattern] = spec
    return found


def _pattern(text: str) -> Pattern:
    if text == ANY:
        return ANY, None
    wild = WILD if text.startswith(WILD) else ""
    bare = text.removeprefix(WILD).encode("utf-8", "replace")
    try:
        if bare.startswith(b"[") and bare.endswith(b"]"):
            return wild + bracketed_untrusted(bare), None
        if b":" not in bare:
            return wild + host_untrusted(bare), None
        host, port = authority_untrusted(bare, None)
    except BadPacket:
        raise LocalProtocolError(f"not a host, with or without a port: {text!r}") from None
    return wild + host, port


class Routes(Generic[Fleet]):
    """Fleets by pattern: a host's own entry before that of its domain, an entry with the port before one without."""

    def __init__(self, fleets: Mapping[Pattern, Fleet]) -> None:
        self._fleets = fleets

    def find(self, host: str, port: int) -> Fleet | None:
        """The fleet for that host, as `host_untrusted` writes it; None for a host that is not to be reached."""
        for name in _names(host):
            for pattern in ((name, port), (name, None)):
                fleet = self._fleets.get(pattern)
                if fleet is not None:
                    return fleet
        return None


def _names(host: str) -> Iterable[str]:
    yield host
    if ":" not in host:
        labels = host.split(".")
        for start in range(1, len(labels)):
            yield WILD + ".".join(labels[start:])
    yield ANY
