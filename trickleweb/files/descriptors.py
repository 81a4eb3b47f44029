"""How many files may be open at once: a share of what the process may open, whatever that is."""

from __future__ import annotations

import resource

_SHARE = 4  # a quarter is for files: sockets, databases and what programs open need the rest
_LEAST, _MOST = 4, 1024


def file_budget() -> int:
    """The number of files that caches may hold open, by the limit that the process has now (RLIMIT_NOFILE)."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else min(max(soft // _SHARE, _LEAST), _MOST)
