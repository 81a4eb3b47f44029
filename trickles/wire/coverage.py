"""How far a user continuation covers, in 8 bytes: an offset, whether output goes on behind it, or no end known."""

from __future__ import annotations

_UNKNOWN = (1 << 64) - 1
_MORE = 1 << 63  # offsets stay below


def stop_field(stop: int | None, *, more: bool) -> int:
    """The field for a range that ends at `stop`, None if its end is not known."""
    if stop is None:
        return _UNKNOWN
    return stop | _MORE if more else stop


def read_stop(field: int) -> tuple[int | None, bool]:
    """`stop` and `more` of a field."""
    if field < _MORE:
        return field, False
    return (None, False) if field == _UNKNOWN else (field ^ _MORE, True)
