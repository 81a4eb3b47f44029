"""The spool as a directory that the replicas of one machine share.

    identity                                32 random bytes: see `identity`
    AB/CDEF....HOST.WRITER                  a log of pieces: see `log`

A connection's input lies in the folder named by the first byte of its owner, in one log for each process that has
written pieces of it (WRITER is random, HOST says whose share of the space it uses up). So a file has one writer, which
only appends: nothing needs a lock, neither between processes nor on file systems that several machines mount, where
two writers of one file overwrite each other.

A reader trusts nothing but the tag of each piece, which is made with a key that follows from the store's identity and
the owner, over the bytes and their place. Whatever else lies there (the end of a log that a crash of the machine has
torn or filled with zeros, a log of another store or another connection, an older state of a file that was restored) is
not there. What a log has is found by its headers (`extents` remembers where); each piece is checked when it is read. A
piece that does not fit its tag makes its connection's logs doubtful: then they are read whole, and what was written
again behind a bad piece is found.

Tried and given up: a sparse file for each connection, with the bytes at their offsets. A hole in it reads as zeros,
and so does a piece that another machine's cache has not written yet. A bitmap beside the bytes says what is there, but
must be written after them and before the receipt, by several processes, and is torn by a crash like anything else.
"""

from __future__ import annotations

from trickles.drivers.spooldir.directory import SWEPT_FOLDERS, SpoolDirectory
from trickles.drivers.spooldir.identity import SpoolError
from trickles.drivers.spooldir.tally import SpoolBounds

__all__ = ["SWEPT_FOLDERS", "SpoolBounds", "SpoolDirectory", "SpoolError"]
