"""The end of a user continuation's range in 8 bytes: an offset, whether output goes on after it, or unknown."""

from __future__ import annotations

_UNKNOWN = (1 << 64) - 1
_MORE = 1 << 63  # offsets stay below


def stop_field(stop: int | None, *, more: bool) -> int:
    """Return the field for a range that ends at `stop`, None if its end is not known."""
    if stop is None:
        return _UNKNOWN
    return stop | _MORE if more else stop


def read_stop(field: int) -> tuple[int | None, bool]:
    """Undo `stop_field`: return `stop` and `more`."""
    if field < _MORE:
        return field, False
    return (None, False) if field == _UNKNOWN else (field ^ _MORE, True)
