"""Watch a fleet from outside: which replica is ready, how much each has sent, which one is at work."""

from __future__ import annotations

from pathlib import Path

from trickleweb.cli.demo.story import Sample
from trickleweb.cli.rundir import RunDir, replica_name


class Watcher:
    """Reads the run directory and the system's figures; replicas are not asked.

    A replica's figures of the last second before a kill are lost, so `packets` falls somewhat short.
    """

    def __init__(self, run_dir: RunDir, replicas: int) -> None:
        self._run_dir = run_dir
        self._names = [replica_name(index) for index in range(replicas)]
        self._packets_of: list[dict[int, int]] = [{} for _ in self._names]  # by pid
        self._effort: dict[int, int] = {}  # nanoseconds of CPU or packets, by pid
        self._at_work: int | None = None

    def look(self, seconds: float, received_bytes: int) -> Sample:
        pids = tuple(self._run_dir.pid(name) for name in self._names)
        packets = tuple(self._packets(index, name) for index, name in enumerate(self._names))
        self._update_at_work(pids)
        return Sample(seconds, received_bytes, packets, pids, self._at_work)

    def pid(self, index: int) -> int | None:
        """Return the pid of a replica, None while it is not ready."""
        return self._run_dir.pid(self._names[index])

    def others_ready(self, replica: int) -> bool:
        """Return whether another replica is ready; always true for a fleet of one."""
        others = [index for index in range(len(self._names)) if index != replica]
        return not others or any(self.pid(index) is not None for index in others)

    def _packets(self, index: int, name: str) -> int:
        figures, packets_of = self._run_dir.figures(name), self._packets_of[index]
        pid, packets = figures.get("pid"), figures.get("packets_out")
        if isinstance(pid, int) and isinstance(packets, int):
            packets_of[pid] = packets
        return sum(packets_of.values())

    def _update_at_work(self, pids: tuple[int | None, ...]) -> None:
        before, self._effort = self._effort, {}
        grown: dict[int, int] = {}
        for index, pid in enumerate(pids):
            if pid is not None:
                effort = cpu_ns(pid)
                self._effort[pid] = effort if effort is not None else self._packets_of[index].get(pid, 0)
                grown[index] = self._effort[pid] - before.get(pid, self._effort[pid])
        busiest = max(grown, key=lambda index: grown[index], default=None)
        if busiest is not None and grown[busiest] > 0:
            self._at_work = busiest
        elif self._at_work is not None and pids[self._at_work] is None:
            self._at_work = None


def cpu_ns(pid: int) -> int | None:
    """Return the CPU time of a process in nanoseconds, None where unavailable (Linux: proc(5), schedstat)."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None
