"""Errors between a request for a file and its bytes; the type says who can fix it."""

from __future__ import annotations

from trickleweb.errors import WebError


class FilesError(WebError):
    """Base of every error of the static files."""


class NoSuchFile(FilesError):
    """No file to serve at this path: absent, not a regular file, or outside the root."""


class Unreadable(FilesError):
    """A file that the server's user may not read."""


class FilesUnavailable(FilesError):
    """The system cannot read a path now: that is not absence, and may pass.

    `errno` is the system's reason (EMFILE, EIO, ESTALE, ...), 0 if there is none.
    """

    def __init__(self, reason: str, errno: int = 0) -> None:
        super().__init__(reason)
        self.errno = errno


class ContentNotHere(FilesError):
    """This replica has no file with exactly this content; another may. Never answered with other bytes."""


class HashPending(FilesError):
    """The file's hash is being computed; ask again soon."""


class BadContentName(FilesError, ValueError):
    """Text that is no content name."""
