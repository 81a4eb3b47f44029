"""A form's fields and files as values, and the bounds of one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from trickleweb.multidict import MultiDict


@dataclass(frozen=True, slots=True, kw_only=True)
class FormLimits:
    """Every bound on a form beside the body's own; what goes beyond one is answered 413."""

    max_fields: int = 1000  # of a query or form, files included: more is an attack on whatever loops over them
    max_field_bytes: int = 1 << 20  # of one text field
    max_file_bytes: int = 16 << 20  # of one file; a route that takes uploads raises it, or reads the parts as they come
    max_part_header_bytes: int = 4096  # of the lines in front of one part: three short ones


DEFAULT_FORM_LIMITS = FormLimits()


_NOT_A_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MAX_NAME_BYTES = 200  # leaves room for a prefix within the 255 of every usual file system


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a form, in memory. `filename` and `content_type` are the client's words: believe neither."""

    filename: str
    content_type: str
    data: bytes

    @property
    def safe_name(self) -> str:
        """The last name in `filename`, without what no file system should see; "" if nothing is left."""
        name = _NOT_A_NAME.sub("", re.split(r"[/\\]", self.filename)[-1]).strip(" .")
        return name.encode("utf-8", "ignore")[:_MAX_NAME_BYTES].decode("utf-8", "ignore")


@dataclass(frozen=True, slots=True)
class Form(MultiDict[str]):
    """The text fields of a form, with its files apart."""

    files: MultiDict[Upload] = field(default_factory=MultiDict)
