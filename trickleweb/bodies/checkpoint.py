"""The position in a stepped body as bytes for a continuation: JSON of [name, version, cursor, args]."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType

from trickleweb.bodies.steps import BadSteps, Stepped, Steps
from trickleweb.errors import StateRefused
from trickleweb.plain import NotPlain, Plain, StateTooLarge, dump_plain, load_plain

MAX_CHECKPOINT_BYTES = 480  # room in a continuation of about 700 bytes, besides the response's head


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A stepped body from its cursor on."""

    body: Stepped

    def pack(self, max_bytes: int = MAX_CHECKPOINT_BYTES) -> bytes:
        """Return the state as bytes; raise `StateTooLarge` if it does not fit a continuation."""
        body = self.body
        data = dump_plain([body.steps.name, body.steps.version, body.cursor, body.args])
        if len(data) > max_bytes:
            raise StateTooLarge(
                f"the cursor and arguments of {body.steps.name!r} take {len(data)} bytes, over {max_bytes}:"
                " keep them in a shared store, and their key in the cursor"
            )
        return data


class StepsTable:
    """All steps of an application by name; equal tables on all replicas resume each other's bodies."""

    def __init__(self, known: Iterable[Steps] = ()) -> None:
        table: dict[str, Steps] = {}
        for each in known:
            if table.setdefault(each.name, each) is not each:
                raise BadSteps(f"two generators are called {each.name!r}")
        self.steps = MappingProxyType(table)

    def unpack(self, state: bytes) -> Checkpoint:
        """Return the checkpoint that `pack` encoded, its cursor migrated if need be; raise `StateRefused`."""
        try:
            name, version, cursor, args = load_plain(state)
            known = self.steps[name]
        except (ValueError, TypeError, KeyError):
            raise StateRefused("a state of unknown steps") from None
        if version != known.version:
            cursor, args = _migrated(known, version, cursor, args)
        try:
            return Checkpoint(known.at(cursor, **args))
        except (TypeError, ValueError, NotPlain) as exc:
            raise StateRefused(str(exc)) from None


def _migrated(known: Steps, version: Plain, cursor: Plain, args: dict[str, Plain]) -> tuple[Plain, dict[str, Plain]]:
    if known.migrate is None or not isinstance(version, int) or version > known.version:
        raise StateRefused(f"{known.name!r} is version {known.version} here, and began as {version}")
    return known.migrate(version, cursor, args)
