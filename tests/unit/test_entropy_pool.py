"""Random bytes drawn in advance: never the same twice, not even in a forked child."""

import os

from trickles.drivers.world import EntropyPool


def test_no_bytes_are_given_out_twice() -> None:
    pool = EntropyPool()
    drawn = [pool(size) for size in (1, 8, 12, 32, 8192, 10_000) for _ in range(50)]
    assert [len(each) for each in drawn[::50]] == [1, 8, 12, 32, 8192, 10_000]
    assert len({each for each in drawn if len(each) >= 8}) == 250


def test_a_forked_child_draws_its_own() -> None:
    pool = EntropyPool()
    pool(8)
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(theirs, pool(32))
        os._exit(0)
    os.waitpid(child, 0)
    told = os.read(ours, 32)
    os.close(ours)
    os.close(theirs)
    assert len(told) == 32
    assert told != pool(32)
