"""The spool as a directory that the replicas of a machine share.

    identity                                32 random bytes: see `storedir`
    AB/CDEF....HOST.WRITER                  a log of pieces: see `log`

A connection's input lies in the folder named by the first byte of its owner, in one log for each process that has
written pieces of it (WRITER is random, HOST is the host whose quota it counts for). So a file has one writer, which
only appends: no lock is needed, neither between processes nor on file systems that several machines mount, where two
writers of one file overwrite each other.

A reader trusts only the tag of each piece, made with a key that follows from the store's identity and the owner, over
the bytes and their place. All else is ignored: the end of a log that a crash of the machine has torn or filled with
zeros, a log of another store or connection, an older state of a file that was restored. The headers of a log say what
it has (`extents` remembers the places); each piece is checked when it is read. A piece with a bad tag makes its
connection's logs doubtful: then they are read whole, so that pieces written again after the bad one are found.

Tried and given up: a sparse file for each connection, with the bytes at their offsets. A hole in it reads as zeros,
and so does a piece that another machine's cache has not written yet. A bitmap of the pieces must be written after the
bytes and before the receipt, by several processes, and is torn by a crash like anything else.
"""

from __future__ import annotations

from trickles.drivers.spooldir.directory import SWEPT_FOLDERS, SpoolDirectory
from trickles.drivers.spooldir.tally import SpoolBounds

__all__ = ["SWEPT_FOLDERS", "SpoolBounds", "SpoolDirectory"]
