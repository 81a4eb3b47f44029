"""Round-trip time and its timers, in integer microseconds (RFC 6298, RFC 8985 section 7.2)."""

from __future__ import annotations

from typing import NamedTuple

from trickles.limits import DEFAULT_LIMITS, Limits

MOST_BACKOFF = 10  # doublings of the timeout


class RoundTrip(NamedTuple):
    """Smoothed estimate; `srtt` is None before the first sample. Scaled by 8 and 4 as in RFC 6298 to stay exact."""

    srtt8: int = 0
    rttvar4: int = 0
    minimum: int = 0
    backoff: int = 0

    @property
    def srtt(self) -> int | None:
        """Smoothed round-trip time, or None before the first sample."""
        return self.srtt8 >> 3 if self.srtt8 else None

    def sampled(self, sample: int) -> RoundTrip:
        """The estimate after one measured round trip; a sample also ends any backoff."""
        sample = max(sample, 1)
        if not self.srtt8:
            return RoundTrip(sample << 3, sample << 1, sample)
        error = sample - (self.srtt8 >> 3)
        srtt8 = max(self.srtt8 + error, 8)
        rttvar4 = self.rttvar4 + abs(error) - (self.rttvar4 >> 2)
        return RoundTrip(srtt8, rttvar4, min(self.minimum, sample))

    def backed_off(self) -> RoundTrip:
        """The estimate after a timeout: the next one waits twice as long."""
        return self._replace(backoff=min(self.backoff + 1, MOST_BACKOFF))

    def hastened(self) -> RoundTrip:
        """The estimate when silence was explained by something else than congestion: no long waits."""
        return self._replace(backoff=min(self.backoff, 1))

    def timeout(self, limits: Limits = DEFAULT_LIMITS) -> int:
        """Retransmission timeout with backoff."""
        base = limits.rto_initial if not self.srtt8 else max((self.srtt8 >> 3) + self.rttvar4, limits.rto_floor)
        return min(base << self.backoff, limits.rto_ceiling)

    def probe_timeout(self, limits: Limits = DEFAULT_LIMITS) -> int:
        """How long silence lasts before another replica is probed."""
        if not self.srtt8:
            return limits.rto_initial
        return max((self.srtt8 >> 3) + self.rttvar4, limits.probe_floor)


NO_SAMPLE = RoundTrip()
