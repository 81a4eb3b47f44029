"""Every bound of a spool in a directory. Ages are seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolBounds:
    """What may be stored, for whom, and how long. A log is one connection's input as one replica has written it.

    A log counts as 4 KiB at least, a piece takes 512 bytes of it at least.
    """

    # space
    most_bytes: int = 1 << 30  # one connection's input
    most_total_bytes: int = 8 << 30  # all that is stored
    most_host_bytes: int = 4 << 30  # of clients with one IPv4 address, or in one /64 of IPv6: the half of it all
    most_total_logs: int = 1 << 18  # inodes; and each costs time to count
    most_host_logs: int = 1 << 14  # of one host: 50 uploads a second that are done with
    most_host_folder_logs: int = 1 << 9  # in one of 256 folders: clients name connections, and a look lists one

    # time: to read a piece of some bytes takes as long as to read a large one
    most_small_pieces: int = 1 << 14  # of under 256 bytes, of one connection's unconsumed input, for each replica

    # ages
    most_age: float = 3600.0  # since the last piece came
    most_crowded_age: float = 300.0  # the same, once half of the space or of the logs is used up
    most_spent_age: float = 300.0  # since its input was consumed: a repeated request may still ask for it

    # soft state of a process
    most_indexed: int = 1 << 20  # pieces whose places are known, and holes between them; 70 bytes each
