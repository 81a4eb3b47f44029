"""Window laws: congestion windows as pure functions of the count of acknowledged packets."""

from __future__ import annotations

from trickles.law.base import Law
from trickles.law.reno import RENO

LAWS: dict[int, Law] = {RENO.identifier: RENO}

__all__ = ["LAWS", "RENO", "Law"]
