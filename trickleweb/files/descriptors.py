"""Budget of open files: a share of the process's limit."""

from __future__ import annotations

import resource

_SHARE = 4  # a quarter is for files: sockets, databases and programs need the rest
_LEAST, _MOST = 4, 1024


def file_budget() -> int:
    """Return the number of files that caches may hold open, from the process's current limit (RLIMIT_NOFILE)."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else min(max(soft // _SHARE, _LEAST), _MOST)
