"""The directory as a `Spool`: writes pieces to logs, finds and reads them, within bounds."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from trickles.drivers.spooldir.keeping import FOLDERS, Keeper
from trickles.drivers.spooldir.log import LEAST_RECORD_BYTES, MOST_PIECE_BYTES, Record, append
from trickles.drivers.spooldir.tally import SpoolBounds
from trickles.drivers.spooldir.uploads import LOOK_RECORDS, Scratch, SpooledUpload
from trickles.drivers.storedir import Identity, prepare
from trickles.service import Buffer
from trickles.spool import SpoolFull

MOST_UPLOADS = 4096  # with known places of pieces
NO_STORE = b""
SMALL_BYTES = 256
SWEPT_FOLDERS = 8  # in each second: all of them in half a minute
MANY_PIECES = 64  # in one reading
PIECE_RECORDS = 32  # read with each new piece, while a look was cut short
SWEPT_RECORDS = 8192  # read with each sweep, for all whose look was cut short: some ms in each second
_FORGET_EVERY = 1024  # pieces and commits
_FULL_DISK = {errno.ENOSPC, errno.EDQUOT}  # the log is unchanged
DEFAULT_BOUNDS = SpoolBounds()


class SpoolDirectory:
    """Input of connections in files of mode 0600, in a directory of mode 0700 that is made when it is not there.

    StoreDirectoryError when the directory cannot be used or is open to others. Call `sweep` now and then, from any
    replica. Methods are thread-safe.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        bounds: SpoolBounds = DEFAULT_BOUNDS,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        prepare(Path(path), "a spool")
        self._root = os.fspath(path)
        self._bounds = bounds
        self._clock = clock
        self._identity = Identity(Path(path), clock)
        self._keeper = Keeper(self._root, bounds, clock)
        self._keeper.visit_all()
        self._lock = threading.Lock()
        self._scratch = Scratch()
        self._store = NO_STORE
        self._uploads: dict[bytes, SpooledUpload] = {}  # the latest used last
        self._asked = 0
        self._pid = 0
        self._writer = ""
        self._current()

    @property
    def identity(self) -> bytes:
        """The store's identity; NO_STORE when the directory cannot be read."""
        with self._lock:
            return self._current()

    def write(self, owner: bytes, host: bytes, offset: int, data: Buffer) -> bytes:
        """Append a piece to a log; return the store's identity. SpoolFull when it does not fit, or the disk fails."""
        if not len(data) or offset + len(data) > self._bounds.most_bytes:
            raise SpoolFull
        with self._lock:
            store = self._current()
            if store == NO_STORE:
                raise SpoolFull
            self._write(self._upload(owner), host.hex(), offset, data)
            return store

    def holds(self, owner: bytes, start: int, stop: int) -> bool:
        """Return True when logs have all of it now; InputBusy when more records must be read to know that."""
        with self._lock:
            if start >= stop:
                return True
            return self._current() != NO_STORE and self._upload(owner).holds(start, stop)

    def read(self, owner: bytes, start: int, stop: int, most_pieces: int | None = None) -> bytes:
        """Read input from `start` on, each piece checked, up to `stop` or to the first gap.

        InputBusy when more records must be read to find them than one read may. Many small pieces are joined into one
        for the next read.
        """
        with self._lock:
            if start >= stop or self._current() == NO_STORE:
                return b""
            upload = self._upload(owner)
            data, pieces = upload.read(start, stop, most_pieces)
            if pieces >= MANY_PIECES and len(data) < pieces * LEAST_RECORD_BYTES:
                self._join(upload, start, data)
            return data

    def discard(self, owner: bytes, below: int) -> None:
        """Let the owner's logs expire soon, unless they have more input, or get more."""
        with self._lock:
            upload = self._uploads.get(owner)
            if upload is None or upload.extents.stop > below:
                return
            upload.look(LOOK_RECORDS)
            if upload.extents.stop > below or upload.is_behind:
                return
            upload.small_pieces = 0
            then = self._clock() - self._bounds.most_age + self._bounds.most_spent_age
            for path in upload.logs():
                with suppress(OSError):
                    os.utime(path, (then, then))

    def sweep(self, folders: int = FOLDERS) -> int:
        """Remove the input of connections that have sent none for long; return how many logs were removed.

        With fewer than all 256 `folders` each call sweeps the next ones.
        """
        with self._lock:
            self._look_on()
            return self._keeper.visit(folders) if folders < FOLDERS else self._keeper.visit_all()

    def _look_on(self) -> None:
        """Continue looks that were cut short, for some milliseconds."""
        left = SWEPT_RECORDS
        for upload in list(self._uploads.values()):
            if upload.is_behind and left > 0:
                left -= upload.look(left)

    def _write(self, upload: SpooledUpload, host: str, offset: int, data: Buffer) -> None:
        if upload.extents.has(offset, len(data)):  # a repeat; if it was lost, a read will notice
            return
        if upload.is_behind:
            upload.look(PIECE_RECORDS)
        path, is_small = upload.path(host, self._own_writer()), len(data) < SMALL_BYTES
        if is_small and upload.small_pieces >= self._bounds.most_small_pieces:
            raise SpoolFull
        fresh = upload.is_fresh(path)
        if fresh and upload.has_most_logs:
            raise SpoolFull
        self._keeper.admit(upload.folder, host, len(data), fresh=fresh)
        try:
            written, end = self._append(path, upload, offset, data)
        except OSError as error:
            if error.errno not in _FULL_DISK:
                upload.spoil(path)
            raise SpoolFull from None
        upload.small_pieces += is_small
        upload.note_written(path, written, end)

    def _append(self, path: str, upload: SpooledUpload, offset: int, data: Buffer) -> tuple[Record, int]:
        most_bytes = 2 * self._bounds.most_bytes  # repeated pieces and headers are in it too
        try:
            return append(path, upload.seal, offset, data, most_bytes)
        except FileNotFoundError:
            with suppress(FileExistsError):
                Path(path).parent.mkdir(0o700)
            return append(path, upload.seal, offset, data, most_bytes)

    def _join(self, upload: SpooledUpload, start: int, data: bytes) -> None:
        """Write again, as one piece, what was read from many small ones, so that each is read once.

        It takes no more space than they do, and is not refused for lack of space.
        """
        host = upload.host_at(start)
        with suppress(OSError, SpoolFull):
            path = upload.path(host, self._own_writer())
            fresh = upload.is_fresh(path)
            for at in range(0, len(data), MOST_PIECE_BYTES):
                piece = data[at : at + MOST_PIECE_BYTES]
                written, end = self._append(path, upload, start + at, piece)
                upload.note_written(path, written, end)
                self._keeper.tally.add(upload.folder, host, len(piece), 1 if fresh and not at else 0)

    def _own_writer(self) -> str:
        """Return the name of this process's logs; a forked process has its own."""
        if self._pid != os.getpid():
            self._pid, self._writer = os.getpid(), os.urandom(8).hex()
        return self._writer

    def _current(self) -> bytes:
        """Return the store's identity; a new one clears all knowledge of places."""
        store = self._identity.current()
        if store != self._store:
            self._store = store
            self._uploads.clear()
            self._pid = 0
        return store

    def _upload(self, owner: bytes) -> SpooledUpload:
        upload = self._uploads.pop(owner, None) or SpooledUpload(self._root, self._store, owner, self._scratch)
        self._uploads[owner] = upload
        self._asked += 1
        if self._asked % _FORGET_EVERY == 0 or len(self._uploads) > MOST_UPLOADS:
            self._forget_some()
        return upload

    def _forget_some(self) -> None:
        """Keep the latest used uploads within the bounds, less an eighth, and at least one.

        Otherwise each new upload would exceed the bound by one, and all would be counted for each.
        """
        uploads, known = self._uploads, sum(upload.extents.count for upload in self._uploads.values())
        most = MOST_UPLOADS - MOST_UPLOADS // 8 if len(uploads) > MOST_UPLOADS else MOST_UPLOADS
        while len(uploads) > 1 and (len(uploads) > most or known > self._bounds.most_indexed):
            known -= uploads.pop(next(iter(uploads))).extents.count
