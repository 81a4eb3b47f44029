"""Visits of one client to one program, in a process of its own: `python -m benchmarks.applications.clients --help`.

A visit is a function of a `User`: log in, list, add, and so on, by the client library that people use with the
program. Each step shows values: what a person would see of it. A value holds nothing that differs from visit to visit:
the user's name is written `NAME`, tokens and times are left out by the visit. So the values of two servers can be
compared.

A visit ends at its first error, since what follows would only repeat it; an "outcome unknown" ends it too, and is no
error. Then the next visit begins, under a new name. A step with an `effect` must have happened exactly once if it was
answered, and once at most if its outcome is unknown: `effects(data)` of the client's module counts them in the
program's database or folder in the end.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

UNKNOWN = "outcome is unknown"  # as the server says it
READY_SECONDS, LOOK_SECONDS = 60.0, 0.1
MOST_TEXT = 400
Effects = Callable[[Path], Mapping[str, int]]


class UnknownOutcome(Exception):
    """The server answered that it died at work on an unsafe request."""


class EndOfVisit(Exception):
    """A step failed, and is in the report."""


@dataclass(slots=True)
class Report:
    """All visits of a process. `shown` counts the values of each step, as JSON."""

    visits: int = 0
    requests: int = 0
    unknown: int = 0
    longest_seconds: float = 0.0
    longest_step: str = ""
    errors: list[str] = field(default_factory=list)
    wrong_effects: list[str] = field(default_factory=list)
    shown: dict[str, dict[str, int]] = field(default_factory=dict)


class User:
    """Somebody who visits a program; `name` occurs in no other visit."""

    def __init__(self, url: str, name: str, report: Report) -> None:
        self.url, self.name, self._report = url, name, report
        self.certain: Counter[str] = Counter()
        self.uncertain: Counter[str] = Counter()

    @contextmanager
    def step(self, label: str, *, effect: str | None = None, requests: int = 1) -> Iterator[None]:
        """Do one thing that a person waits for; EndOfVisit if it fails. `effect` is what must have happened once."""
        started = time.monotonic()
        try:
            yield
        except Exception as error:  # of any client library
            self._failed(label, error, effect)
            raise EndOfVisit(label) from error
        finally:
            self._report.requests += requests
            self._note_time(label, time.monotonic() - started)
        if effect is not None:
            self.certain[effect] += 1

    def visits(self, visit: Callable[[User], None]) -> None:
        """Make a visit; what fails between its steps is an error too."""
        try:
            visit(self)
        except Exception as error:  # noqa: BLE001 - of any client library: task groups wrap what ends a visit
            if not any(isinstance(each, EndOfVisit) for each in causes(error)):
                self._failed("between steps", error, None)

    def shows(self, label: str, value: object) -> None:
        """Note what is seen of a step, any value of JSON."""
        text = json.dumps(value, ensure_ascii=False, default=str).replace(self.name, "NAME")
        seen = self._report.shown.setdefault(label, {})
        seen[text] = seen.get(text, 0) + 1

    def _failed(self, label: str, error: Exception, effect: str | None) -> None:
        if effect is not None:
            self.uncertain[effect] += 1
        if any(isinstance(each, UnknownOutcome) or UNKNOWN in words(each) for each in causes(error)):
            self._report.unknown += 1
        else:
            told = " < ".join(f"{type(each).__name__}: {words(each)[:MOST_TEXT]}" for each in causes(error))
            self._report.errors.append(f"{self.name} {label}: {told}")

    def _note_time(self, label: str, seconds: float) -> None:
        if seconds > self._report.longest_seconds:
            self._report.longest_seconds, self._report.longest_step = seconds, label


def causes(error: BaseException) -> list[BaseException]:
    """The exception, and those in it and before it."""
    inner = list(error.exceptions) if isinstance(error, BaseExceptionGroup) else []
    before = [each for each in (error.__cause__,) if each is not None]
    return [error, *(found for each in (*inner, *before) for found in causes(each))]


def words(error: BaseException) -> str:
    """What an exception says, with the response it was made from, as requests, httpx and their users keep it."""
    return f"{error} {text_of(getattr(error, 'response', None))}".strip()


def text_of(response: object) -> str:
    """The body of a response of requests or httpx; "" while it is streamed."""
    try:
        return str(getattr(response, "text", ""))
    except Exception:  # noqa: BLE001 - each library has its own
        return ""


def expect(response: object, *statuses: int) -> None:
    """Raise UnknownOutcome or AssertionError unless a response of requests or httpx has one of the statuses."""
    status = getattr(response, "status_code", 0)
    if status not in (statuses or (200,)):
        text = text_of(response)
        if UNKNOWN in text:
            raise UnknownOutcome(text)
        raise AssertionError(f"status {status}: {text[:MOST_TEXT]}")


def wait_until_ready(url: str) -> None:
    """Wait until the program answers anything; TimeoutError otherwise."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=READY_SECONDS).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(LOOK_SECONDS)
        else:
            return
    raise TimeoutError(f"{url} does not answer")


def visit_all(client: str, url: str, data: Path, *, first: int, least: int, seconds: float) -> Report:
    """Visit again and again, `least` times and as long as `seconds`, then count the effects."""
    module = import_module(client)
    visit: Callable[[User], None] = module.visit
    effects: Effects | None = getattr(module, "effects", None)
    report, users, until = Report(), list[User](), time.monotonic() + seconds
    wait_until_ready(url)
    while report.visits < least or time.monotonic() < until:
        user = User(url, f"visit{first + report.visits:05d}", report)
        users.append(user)
        report.visits += 1
        user.visits(visit)
    if effects is not None:
        report.wrong_effects += wrong_effects(users, effects(data))
    return report


def wrong_effects(users: Sequence[User], happened: Mapping[str, int]) -> list[str]:
    """Effects that happened too often, or not although they were answered."""
    certain = sum((user.certain for user in users), Counter[str]())
    uncertain = sum((user.uncertain for user in users), Counter[str]())
    return [
        f"{effect} happened {happened.get(effect, 0)} times: {certain[effect]} answered, {uncertain[effect]} perhaps"
        for effect in sorted({*certain, *uncertain})
        if not certain[effect] <= happened.get(effect, 0) <= certain[effect] + uncertain[effect]
    ]
