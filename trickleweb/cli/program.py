"""Which program is served, as a value."""

from __future__ import annotations

from dataclasses import dataclass

THREADS = 32  # of a program for WSGI


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramOptions:
    """Which program, and how it is served. `max_body_bytes` is None for what the program itself says."""

    name: str
    folder: str = "."
    factory: bool = False
    wsgi: bool = False
    max_body_bytes: int | None = None
    repeat: tuple[str, ...] = ()
    threads: int = THREADS
