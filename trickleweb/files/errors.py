"""What can go wrong between a request for a file and its bytes, each with who can mend it."""

from __future__ import annotations

from trickleweb.errors import WebError


class FilesError(WebError):
    """Root of every error of the static files."""


class NoSuchFile(FilesError):
    """Nothing that may be served lies at this path: absent, not a regular file, or outside the root."""


class Unreadable(FilesError):
    """Something lies at this path, and the server's user may not read it."""


class FilesUnavailable(FilesError):
    """The system cannot say now what lies at a path, or give its bytes: that is no absence, and may pass.

    `errno` is the system's reason (EMFILE, EIO, ESTALE, ...), 0 where it is none of the system's.
    """

    def __init__(self, reason: str, errno: int = 0) -> None:
        super().__init__(reason)
        self.errno = errno


class ContentNotHere(FilesError):
    """This replica has no file with exactly this content; another may. Never answered with any other bytes."""


class HashPending(FilesError):
    """The file's identity is being worked out; ask again soon. Nothing is wrong with the request."""


class BadContentName(FilesError, ValueError):
    """Text that names no content."""
