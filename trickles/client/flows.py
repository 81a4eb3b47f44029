"""Flows: source ports used one after the other, since one address may stand for several hosts.

With ECMP or anycast a router leads each flow (both addresses and both ports) to one host, by a hash (RFC 2992). When
that host is dead and its route stays, probes and repeats from the same source port all go there. From another port they
may go to a living host, and any replica answers any packet. So a flow is left

- with the second probe to a single replica that stays unanswered, and with each one after that; with n replicas, after
  n probes in vain;
- at once, when nobody listens there (ICMP) and there is no other replica; also when work at it is lost, or after a
  retransmission timeout.

The answer to any datagram settles the flow that it was sent by, which may be an earlier one; requests that went out by
others are repeated (`Recovery`). Drivers keep the ports of the last few flows open, for answers that are only late.
Tried and failed: to stay with the newest flow whatever answered (it led to the dead host as often as any), and to send
the probes of one silence at once (the same).
"""

from __future__ import annotations

MOST_HURRIED = 8  # flows without an answer that are left at once or soon: of three hosts with one dead, 1 in 6,000 more


class Flows:
    """The number of the flow in use; each new one gets the next number."""

    def __init__(self) -> None:
        self.current = 0
        self._newest = 0
        self._unanswered = 0

    @property
    def in_doubt(self) -> bool:
        """True when no answer came by any flow since the last change."""
        return self._unanswered > 0

    @property
    def may_hurry(self) -> bool:
        return self._unanswered < MOST_HURRIED

    def change(self) -> None:
        self._newest += 1
        self._unanswered += 1
        self.current = self._newest

    def settle(self, flow: int) -> None:
        """Use that flow from now on: an answer came to a datagram sent by it."""
        self.current, self._unanswered = flow, 0
