"""The limit of open files, raised where many connections are held; children inherit it."""

import resource

SPARE_FILES = 200  # for all that is open beside the connections


def raise_file_limit() -> int:
    """Raise the soft limit to the hard one; returns how many connections a process may hold."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard - SPARE_FILES
