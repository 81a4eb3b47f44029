"""The limit of open files, raised where many connections are held; children inherit it."""

import resource
from contextlib import suppress

SPARE_FILES = 200  # for all that is open beside the connections
WANTED_FILES = 100_000


def raise_file_limit() -> int:
    """Raise the soft limit to the hard one, and this too if that is allowed; returns the connections of a process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # it takes a privilege
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, WANTED_FILES),) * 2)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard - SPARE_FILES
