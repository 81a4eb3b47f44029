"""What came of a call that may be refused: its result or the refusal, as one value to look at."""

from collections.abc import Callable
from typing import TypeVar

from trickleweb.errors import HTTPError

Result = TypeVar("Result")


def outcome(call: Callable[[], Result]) -> Result | HTTPError:
    """Return what `call` returns, or the HTTPError it raises; any other exception goes through."""
    try:
        return call()
    except HTTPError as error:
        return error
