"""Scans of long folders, on low-priority threads that work in short steps and rest as long in between.

One scan serves all orders. A Python thread blocks all others of its process while it works: with steps of a millisecond
and a rest after each, the replica's loop runs soon, whatever the folder's length.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Sequence
from threading import Thread

from trickleweb.files.hashing import yield_to_others
from trickleweb.files.listing import KEYS, Entry, Order
from trickleweb.files.stamps import FileStamp

Step = Callable[[], None]
Orders = dict[Order, tuple[Entry, ...]]
_STEP_SECONDS = 0.001
_RUN = 1000  # entries sorted at a time, in about a step


class ScanPace:
    """A work pace: `step`, called often on a thread, rests as long as was worked since the last rest."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    def step(self) -> None:
        """Rest, if a step's time has been worked."""
        worked = time.perf_counter() - self._since
        if worked >= _STEP_SECONDS:
            time.sleep(worked)
            self._since = time.perf_counter()


def all_orders(entries: Sequence[Entry], step: Step) -> Orders:
    """Return the entries in each order, as by `listing.arrange`."""
    found: Orders = {}
    for key in KEYS:
        ordered = _sorted(entries, key, step)
        folders = [entry for entry in ordered if entry.is_folder]
        files = [entry for entry in ordered if not entry.is_folder]
        step()
        found[Order(key)] = (*folders, *files)
        found[Order(key, descending=True)] = (*reversed(folders), *reversed(files))
        step()
    return found


def _sorted(entries: Sequence[Entry], key: str, step: Step) -> list[Entry]:
    runs = list[list[Entry]]()
    for start in range(0, len(entries), _RUN):
        runs.append(sorted(entries[start : start + _RUN], key=KEYS[key]))
        step()
    return list(_stepping(heapq.merge(*runs, key=KEYS[key]), step))


def _stepping(entries: Iterable[Entry], step: Step) -> Iterable[Entry]:
    for at, entry in enumerate(entries):
        if at % 100 == 0:
            step()
        yield entry


class Scan:
    """One scan of a long folder, with the folder's stamp at its beginning and whether that was settled."""

    def __init__(
        self, stamp: FileStamp, *, is_settled: bool, now_ns: Callable[[], int], look: Callable[[Step], list[Entry]]
    ) -> None:
        self.stamp = stamp
        self.is_settled = is_settled
        self.began_ns = now_ns()
        self.took_ns = 0
        self.error: BaseException | None = None
        self.orders: Orders = {}
        self._now_ns = now_ns
        self._look = look
        self._thread = Thread(target=self._work, name="listing", daemon=True)
        self._thread.start()

    @property
    def is_done(self) -> bool:
        """True if its thread has ended."""
        return not self._thread.is_alive()

    def _work(self) -> None:
        yield_to_others()
        try:
            pace = ScanPace()
            self.orders = all_orders(self._look(pace.step), pace.step)
        except BaseException as error:  # noqa: BLE001 - raised at the next request of the listing
            self.error = error
        self.took_ns = self._now_ns() - self.began_ns
