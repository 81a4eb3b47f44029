"""Bodies made in steps: each step's data comes with the cursor from which any replica makes the next one.

@steps("export", version=1)
async def rows(cursor: int, table: str) -> AsyncIterator[Step]:
    async for row in select(table, after=cursor):
        yield as_csv(row), row.id

return Response.stepped(rows.at(0, table="orders"), media_type="text/csv")
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from types import MappingProxyType
from typing import Any, Protocol, cast

from trickleweb.errors import StateRefused, WebError
from trickleweb.plain import NotPlain, Plain, StateTooLarge, dump_plain, load_plain

Data = bytes | str  # text goes out in UTF-8
Step = tuple[Data, Plain]  # data, and the cursor after it
Run = Callable[..., AsyncIterator[Step] | Iterator[Step]]  # takes the cursor, and the arguments by name
Migrate = Callable[[int, Plain, dict[str, Plain]], tuple[Plain, dict[str, Plain]]]
MAX_NAME_CHARS = 64  # it is in every continuation
MAX_CHECKPOINT_BYTES = 480  # room in a continuation of about 700 bytes, besides the response's head


class LiveSteps(Protocol):
    """Steps that are given as they come, without a generator for each body; `ended` after the last one."""

    ended: bool
    heartbeat: float  # seconds without a step, then the comment
    comment: bytes  # that keeps a connection alive
    subject: bytes  # equal for streams that get the same news

    def ready(self) -> list[Step] | None:
        """Return the steps that need no waiting, perhaps none; None if `fetch` has to find out."""

    async def fetch(self) -> list[Step]:
        """Return further steps, perhaps none; raise what their source raises."""

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` when there may be other steps, until `leave`."""

    def leave(self, listener: Callable[[], None]) -> None: ...


class BadSteps(WebError, ValueError):
    """Steps without a valid name or version."""


@dataclass(frozen=True, slots=True)
class Steps:
    """A generator that resumes from any of its cursors: `run(cursor, **args)` yields data, each with its next cursor.

    The name is permanent, as states hold it. `version` is raised when the same cursor would make other bytes; then
    `migrate(old_version, cursor, args)` converts an old state, or raises `StateRefused`.
    """

    name: str
    run: Run
    version: int = 1
    migrate: Migrate | None = None
    reader: Callable[[Plain, dict[str, Plain]], LiveSteps] | None = None  # of an event stream: replaces `run`

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= MAX_NAME_CHARS or self.version < 1:
            raise BadSteps(f"steps have a name of at most {MAX_NAME_CHARS} characters, and a version from 1 on")

    def at(self, cursor: Plain = None, /, **args: Plain) -> Stepped:
        """Return the body that begins at `cursor`; raise `NotPlain` for a cursor or argument that JSON cannot hold."""
        dump_plain([cursor, args])
        return Stepped(self, cursor, args)


@dataclass(frozen=True, slots=True)
class Stepped:
    """Level 2: the rest of a body from a cursor on; `Steps.at` checks that both are plain."""

    steps: Steps
    cursor: Plain = None
    args: dict[str, Plain] = field(default_factory=dict)

    def run(self) -> AsyncIterator[Step] | Iterator[Step]:
        return self.steps.run(self.cursor, **self.args)


def steps(name: str, *, version: int = 1, migrate: Migrate | None = None) -> Callable[[Run], Steps]:
    """Decorate a generator, async or plain, that takes a cursor first and yields (data, next cursor)."""
    return lambda run: Steps(name, run, version, migrate)


def stepping(name: str, *, version: int = 1, migrate: Migrate | None = None) -> Callable[[Callable[..., Any]], Steps]:
    """Decorate a function, async or plain: a cursor in, (data, next cursor) out, or None at the end."""

    def decorate(step: Callable[..., Any]) -> Steps:
        return Steps(name, _async_run(step) if iscoroutinefunction(step) else _run(step), version, migrate)

    return decorate


def _run(step: Callable[..., Step | None]) -> Run:
    def run(cursor: Plain, **args: Plain) -> Iterator[Step]:
        while (made := step(cursor, **args)) is not None:
            yield made
            cursor = made[1]

    return run


def _async_run(step: Callable[..., Awaitable[Step | None]]) -> Run:
    async def run(cursor: Plain, **args: Plain) -> AsyncIterator[Step]:
        while (made := await step(cursor, **args)) is not None:
            yield made
            cursor = made[1]

    return cast("Run", run)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A stepped body from its cursor on."""

    body: Stepped

    def pack(self, max_bytes: int = MAX_CHECKPOINT_BYTES) -> bytes:
        """Return the state as bytes; raise `StateTooLarge` if it does not fit a continuation."""
        return packed_checkpoint(self.body.steps, self.body.cursor, self.body.args, max_bytes)


def packed_checkpoint(steps: Steps, cursor: Plain, args: dict[str, Plain], max_bytes: int) -> bytes:
    """Return the state of steps from a cursor on; raise `StateTooLarge`, or `NotPlain`."""
    data = dump_plain([steps.name, steps.version, cursor, args])
    if len(data) > max_bytes:
        raise StateTooLarge(
            f"the cursor and arguments of {steps.name!r} take {len(data)} bytes, over {max_bytes}:"
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
        if version == known.version and isinstance(args, dict):
            return Checkpoint(Stepped(known, cursor, args))  # plain, since they were just read
        cursor, args = _migrated(known, version, cursor, args)
        try:
            return Checkpoint(known.at(cursor, **args))
        except (TypeError, ValueError, NotPlain) as exc:
            raise StateRefused(str(exc)) from None


def _migrated(known: Steps, version: Plain, cursor: Plain, args: dict[str, Plain]) -> tuple[Plain, dict[str, Plain]]:
    if known.migrate is None or not isinstance(version, int) or version >= known.version:
        raise StateRefused(f"{known.name!r} is version {known.version} here, and began as {version}")
    return known.migrate(version, cursor, args)
