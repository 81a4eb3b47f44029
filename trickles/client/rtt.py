"""Round-trip time and its timers, in integer microseconds (RFC 6298, RFC 8985 section 7.2)."""

from __future__ import annotations

from typing import NamedTuple

from trickles.limits import DEFAULT_LIMITS, Limits

_new = tuple.__new__
MOST_BACKOFF = 10  # doublings of the timeout


class RoundTrip(NamedTuple):
    """The round-trip estimate, scaled by 8 and 4 as in RFC 6298 to stay exact."""

    srtt8: int = 0
    rttvar4: int = 0
    minimum: int = 0
    backoff: int = 0

    @property
    def srtt(self) -> int | None:
        return self.srtt8 >> 3 if self.srtt8 else None

    def sampled(self, sample: int) -> RoundTrip:
        """Return the estimate after a sample, which also ends any backoff."""
        srtt8, rttvar4, minimum, _ = self
        sample = max(sample, 1)
        if not srtt8:
            return RoundTrip(sample << 3, sample << 1, sample)
        error = sample - (srtt8 >> 3)
        rttvar4 += abs(error) - (rttvar4 >> 2)
        fields = max(srtt8 + error, 8), rttvar4, sample if sample < minimum else minimum, 0
        return _new(RoundTrip, fields)  # faster than the class: made for every small exchange

    def backed_off(self) -> RoundTrip:
        """Return the estimate after a timeout: the next one waits twice as long."""
        return self._replace(backoff=min(self.backoff + 1, MOST_BACKOFF))

    def hastened(self) -> RoundTrip:
        """Return the estimate with hardly any backoff, when silence had another cause than congestion."""
        return self._replace(backoff=min(self.backoff, 1))

    def timeout(self, limits: Limits = DEFAULT_LIMITS) -> int:
        base = limits.rto_initial if not self.srtt8 else max((self.srtt8 >> 3) + self.rttvar4, limits.rto_floor)
        return min(base << self.backoff, limits.rto_ceiling)

    def probe_timeout(self, limits: Limits = DEFAULT_LIMITS) -> int:
        """Return how long silence lasts before another replica is probed."""
        if not self.srtt8:
            return limits.rto_initial
        return max((self.srtt8 >> 3) + self.rttvar4, limits.probe_floor)


NO_SAMPLE = RoundTrip()
