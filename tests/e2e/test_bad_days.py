"""Bad days: the surroundings of a fleet go wrong, and it serves right bytes throughout, or again without help.

`python -m benchmarks bad_days` prints the same as a table, with how much was served and how soon all was well again.
Here a machine may be busy: what counts is that nothing is wrong, that all processes are there in the end, and that
somebody was served in the middle of it where nothing stops the processes.
"""

import pytest

from benchmarks.bad_days.causes import CAUSES, Cause
from benchmarks.bad_days.watching import NEVER, NotHere, day
from tests.support.system import missing

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("bad days")]

SECONDS = 1.5


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_a_fleet_outlives(cause: Cause) -> None:
    try:
        seen = day(cause, seconds=SECONDS)
    except NotHere as reason:
        if "not installed" in str(reason):
            missing(str(reason))
        pytest.skip(str(reason))
    assert seen.wrong == 0
    assert seen.missing == ()
    assert seen.back_seconds < NEVER
    assert seen.killed == (3 if cause.kills else 0)
    assert seen.started == seen.killed or (cause.may_end and seen.started > seen.killed)
    assert seen.served or not cause.least_share
