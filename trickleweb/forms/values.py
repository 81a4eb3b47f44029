"""What a form holds: text fields and files."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from trickleweb.multidict import MultiDict

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
