"""A form's fields and files as values, and their bounds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from trickleweb.multidict import MultiDict


@dataclass(frozen=True, slots=True, kw_only=True)
class FormLimits:
    """Bounds of a form besides the body's own; a form beyond one is answered 413."""

    max_fields: int = 1000  # of a query or form, files included; bounds every loop over them
    max_field_bytes: int = 1 << 20  # of one text field
    max_file_bytes: int = 16 << 20  # of one file; a route with larger uploads raises it, or reads parts as they arrive
    max_part_header_bytes: int = 4096  # of one part: usually three short lines


DEFAULT_FORM_LIMITS = FormLimits()


_NOT_A_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MAX_NAME_BYTES = 200  # leaves room for a prefix within the usual 255


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a form, in memory. `filename` and `content_type` are the client's: trust neither."""

    filename: str
    content_type: str
    data: bytes

    @property
    def safe_name(self) -> str:
        """The last name in `filename`, without characters unsafe in file systems; "" if nothing is left."""
        name = _NOT_A_NAME.sub("", re.split(r"[/\\]", self.filename)[-1]).strip(" .")
        return name.encode("utf-8", "ignore")[:_MAX_NAME_BYTES].decode("utf-8", "ignore")


@dataclass(frozen=True, slots=True)
class Form(MultiDict[str]):
    """The text fields of a form, and its files."""

    files: MultiDict[Upload] = field(default_factory=MultiDict)
