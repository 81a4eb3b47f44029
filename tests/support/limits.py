"""Limits of replicas in tests: as by default, but with replay filters a sixteenth as large.

A test makes many replicas, hardly any of which sees more than a few thousand requests, and each would fill 4 MB.
"""

from trickles.limits import Limits

TEST_LIMITS = Limits(replay_bits=1 << 20)
