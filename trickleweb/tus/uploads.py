"""Uploads that clients send in several requests: records, the store that replicas share, and its errors.

A record's `offset` never exceeds the bytes that are durable: bytes are synchronised first, then the record replaces the
last one. Bytes beyond the offset do not count, and are written again. So a replica may die at any moment.

A request that appends is repeated on other replicas, and runs on parts of its body too. Its `Writer` makes that one
effect: a record names the last one, and bytes from `start` on up to the offset are that request's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from trickles.service import Buffer
from trickleweb.errors import WebError


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadLimits:
    """Bounds of a store of uploads."""

    upload_bytes: int = 16 << 30  # of one upload; a longer one is answered 413
    request_bytes: int = 1 << 30  # of one request's body: all of it lies in the spool until its end
    total_bytes: int = 64 << 30  # of all uploads, by their lengths once these are known; then 507
    uploads: int = 10_000  # directories: each is looked at when an upload is created
    metadata_bytes: int = 4096  # of Upload-Metadata: names and types of files
    parts: int = 64  # of one concatenation; clients use fewer than ten
    age_s: int = 86_400  # of an unfinished upload since its last byte: a client may return the next day


DEFAULT_UPLOAD_LIMITS = UploadLimits()


class UploadError(WebError):
    """An upload cannot be changed or read; the type says why."""


class NoUpload(UploadError):
    """There is no upload of that id."""


class UploadLocked(UploadError):
    """Another request is at work on the upload."""


class UploadTooLong(UploadError):
    """The upload would be longer than it may be."""


class UploadsFull(UploadError):
    """The share of all uploads is used up, or the device is full."""


class UploadsUnavailable(UploadError):
    """The store cannot be used: read-only, removed, damaged or failing. The text says which."""


class Writer(NamedTuple):
    """A request that appends: its idempotency key, and the offset of its first byte."""

    key: str = ""
    start: int = 0


NO_WRITER = Writer()


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRecord:
    """The state of an upload; `length` is None while it is not known, `expires_s` is in seconds since 1970."""

    id: str  # 32 hexadecimal digits, not to be guessed
    offset: int = 0
    length: int | None = None
    metadata: str = ""  # Upload-Metadata as it was sent
    is_part: bool = False  # to be concatenated
    is_open: bool = False  # until the client says that it is complete; others are complete by their length
    parts: tuple[str, ...] = ()  # the ids of which it was made
    writer: Writer = NO_WRITER
    expires_s: int | None = None
    is_finished: bool = False  # complete, and passed to the application

    @property
    def is_complete(self) -> bool:
        return self.offset == self.length and not self.is_open

    @property
    def is_due(self) -> bool:
        """True if it is complete, and is still to be passed to the application."""
        return self.is_complete and not self.is_part and not self.is_finished


Finish = Callable[[UploadRecord], None]


class OpenUpload(Protocol):
    """An upload locked for one request. Methods are called on threads, one at a time."""

    @property
    def record(self) -> UploadRecord:
        """The latest record."""

    def write(self, data: Buffer) -> None:
        """Write after the bytes written since it was opened, the first ones at the offset; raise `UploadTooLong`,
        `UploadsFull` or `UploadsUnavailable`.
        """

    def copy(self, name: str) -> None:
        """Write all bytes of another upload."""

    def commit(self, record: UploadRecord) -> None:
        """Make the bytes durable up to that record's offset, then the record."""

    def remove(self) -> None:
        """Remove the upload."""

    def close(self) -> None:
        """Unlock the upload; the second time do nothing."""


class UploadStore(Protocol):
    """Uploads that all replicas share. Methods are called on threads, and may raise `UploadsUnavailable`."""

    @property
    def limits(self) -> UploadLimits:
        """Its bounds."""

    def create(self, record: UploadRecord) -> None:
        """Add an upload; one of that id is left as it is. Raise `UploadsFull`."""

    def find(self, name: str) -> UploadRecord:
        """Return the record of an upload; raise `NoUpload`."""

    def open(self, name: str) -> OpenUpload:
        """Lock an upload; raise `NoUpload` or `UploadLocked`."""

    def sweep(self, now_s: int) -> int:
        """Remove the uploads that expired before then; return their number."""
