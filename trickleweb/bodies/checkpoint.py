"""Where a stepped body stands, as bytes for a continuation: the steps, the cursor, how much of the next step is out.

Layout: JSON of [name, version, cursor, args] or, with a part of a step delivered, [.., bytes to skip, their digest].
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType

from trickleweb.bodies.steps import BadSteps, Stepped, Steps
from trickleweb.errors import WebError
from trickleweb.plain import NotPlain, Plain, StateTooLarge, dump_plain, load_plain

MAX_CHECKPOINT_BYTES = 480  # what a continuation of about 700 bytes has room for, beside the response's head
_DIGEST_BYTES = 12


class StateRefused(WebError):
    """No body of this replica goes on from that state: of another release, or of steps that are no more."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The body from its cursor on, without the first `skip_bytes`, whose `digest` says what they were."""

    body: Stepped
    skip_bytes: int = 0
    digest: str = ""

    def pack(self, max_bytes: int = MAX_CHECKPOINT_BYTES) -> bytes:
        """The state as bytes; `StateTooLarge` if it does not fit a continuation."""
        body = self.body
        fields: list[Plain] = [body.steps.name, body.steps.version, body.cursor, body.args]
        data = dump_plain([*fields, self.skip_bytes, self.digest] if self.skip_bytes else fields)
        if len(data) > max_bytes:
            raise StateTooLarge(
                f"the cursor and arguments of {body.steps.name!r} take {len(data)} bytes, over {max_bytes}:"
                " keep them in a shared store, and their key in the cursor"
            )
        return data

    def check(self, skipped: bytes) -> None:
        """Compare the bytes that this replica would skip with those that went out; `StateRefused` if they differ."""
        if len(skipped) != self.skip_bytes or (self.skip_bytes and step_digest(skipped) != self.digest):
            raise StateRefused(f"{self.body.steps.name!r} makes other bytes here than those already delivered")


class StepsTable:
    """All steps of an application by name; equal tables on all replicas go on with each other's bodies."""

    def __init__(self, known: Iterable[Steps] = ()) -> None:
        table: dict[str, Steps] = {}
        for each in known:
            if table.setdefault(each.name, each) is not each:
                raise BadSteps(f"two generators are called {each.name!r}")
        self.steps = MappingProxyType(table)

    def unpack(self, state: bytes) -> Checkpoint:
        """The checkpoint that `pack` made these bytes of, its cursor migrated if need be; `StateRefused` otherwise."""
        try:
            name, version, cursor, args, *delivered = load_plain(state)
            known = self.steps[name]
            skip_bytes, digest = delivered or (0, "")
        except (ValueError, TypeError, KeyError):
            raise StateRefused("a state of no steps known here") from None
        if version != known.version:
            cursor, args = _migrated(known, version, cursor, args)
        try:
            return Checkpoint(known.at(cursor, **args), int(skip_bytes), str(digest))
        except (TypeError, ValueError, NotPlain) as exc:
            raise StateRefused(str(exc)) from None


def step_digest(data: bytes) -> str:
    """What a checkpoint says of the bytes to be skipped."""
    return hashlib.sha256(data).hexdigest()[: 2 * _DIGEST_BYTES]


def _migrated(known: Steps, version: Plain, cursor: Plain, args: dict[str, Plain]) -> tuple[Plain, dict[str, Plain]]:
    if known.migrate is None or not isinstance(version, int) or version > known.version:
        raise StateRefused(f"{known.name!r} is version {known.version} here, and began as {version}")
    return known.migrate(version, cursor, args)
