"""A forked child that lives on, as one does that a program forked for work of its own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def living_child() -> Iterator[int]:
    """Yield the pid of a forked child that has begun; it ends with the block."""
    read, write = os.pipe()
    lives, says_it_lives = os.pipe()
    child = os.fork()
    if not child:  # lives until the parent closes its end of the pipe
        os.close(write)
        os.write(says_it_lives, b".")
        os.read(read, 1)
        os._exit(0)
    try:
        os.read(lives, 1)  # a child's first moments come before this
        yield child
    finally:
        os.close(write)
        os.waitpid(child, 0)
        for descriptor in (read, lives, says_it_lives):
            os.close(descriptor)
