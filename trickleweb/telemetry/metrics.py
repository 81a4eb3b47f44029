"""Figures of a replica in the text format of Prometheus, version 0.0.4."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping

from trickleweb.server import Answered

BOUNDS_US = (500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = Mapping[str, str]
Sample = tuple[str, Labels, float]  # suffix of the name, labels, value


class Meter:
    """Counts responses: times to their heads, and resumed ones."""

    def __init__(self) -> None:
        self.resumed = 0
        self._counts = [0] * (len(BOUNDS_US) + 1)
        self._sum_us = 0

    def __call__(self, answered: Answered) -> None:
        if answered.resumed:
            self.resumed += 1
            return
        self._counts[bisect_left(BOUNDS_US, answered.took_us)] += 1
        self._sum_us += answered.took_us

    def families(self) -> Iterator[str]:
        """Yield the lines of its metrics."""
        samples, total = list[Sample](), 0
        for bound, count in zip((*BOUNDS_US, None), self._counts, strict=True):
            total += count
            samples.append(("_bucket", {"le": "+Inf" if bound is None else f"{bound / 1e6:g}"}, total))
        samples += [("_sum", {}, self._sum_us / 1e6), ("_count", {}, total)]
        yield from family("response_seconds", "histogram", "Time from a whole request to its response's head.", samples)
        text = "Responses of other replicas that this one resumed."
        yield from family("resumed_total", "counter", text, [("", {}, self.resumed)])


def exposition(figures: Mapping[str, object], more: Iterable[str] = ()) -> str:
    """Return the text for a replica's figures (as in its status file), and for further families."""
    return "\n".join([*_families(figures), *more, ""])


def family(name: str, kind: str, text: str, samples: Iterable[Sample]) -> Iterator[str]:
    """Yield the lines of one metric."""
    whole = f"trickleweb_{name}"
    yield f"# HELP {whole} {text}"
    yield f"# TYPE {whole} {kind}"
    for suffix, labels, value in samples:
        text = ",".join(f'{label}="{_quoted(each)}"' for label, each in labels.items())
        number = f"{value:g}" if value < 1e6 else f"{value:.0f}"
        yield f"{whole}{suffix}{f'{{{text}}}' if text else ''} {number}"


_COUNTERS = {
    "packets_in": "Datagrams received.",
    "packets_out": "Datagrams sent.",
    "bytes_out": "Bytes of datagrams sent.",
    "errors": "Exceptions of the application.",
    "log_lines_lost": "Lines of the access log that could not be written.",
}


def _families(figures: Mapping[str, object]) -> Iterator[str]:
    for name, text in _COUNTERS.items():
        value = figures.get(name)
        if isinstance(value, int):
            yield from family(f"{name}_total", "counter", text, [("", {}, value)])
    statuses = _counts(figures.get("statuses"), "status")
    yield from family("responses_total", "counter", "Responses started, by status.", statuses)
    failed = _counts(figures.get("failures"), "of")
    yield from family("failures_total", "counter", "Failures that were retried: writes, chores, work.", failed)
    transport = _counts(figures.get("transport"), "event")
    yield from family("transport_total", "counter", "Events of the transport: see docs/operations.md.", transport)
    started = figures.get("started")
    if isinstance(started, int):
        yield from family("start_time_seconds", "gauge", "Start time of this process, since 1970.", [("", {}, started)])
    yield from _keys_and_ledger(figures)


def _keys_and_ledger(figures: Mapping[str, object]) -> Iterator[str]:
    """Yield metrics of keys and ledger, which replicas should share, and of certificates that expire."""
    match figures.get("keys"):
        case {"epoch": str(epoch), "certificate_ends": int(until)}:
            text = "End of the last certificate of this keyring, since 1970; the label is the epoch in force."
            yield from family("certificate_end_time_seconds", "gauge", text, [("", {"epoch": epoch}, until)])
    match figures.get("keys"):
        case {"newest": str(newest), "newest_begins": int(begins), "epochs": int(count)}:
            text = "Start of the epoch that begins last, since 1970; the label is that epoch, equal on all replicas."
            yield from family("newest_epoch_start_time_seconds", "gauge", text, [("", {"epoch": newest}, begins)])
            yield from family("epochs", "gauge", "Epochs in the keyring.", [("", {}, count)])
    match figures.get("ledger"):
        case {"store": str(store), "refused_other": int(count)}:
            text = "Unsafe requests refused, as their connection began with another ledger."
            yield from family("refused_other_ledger_total", "counter", text, [("", {"store": store}, count)])


def _counts(value: object, label: str) -> Iterator[Sample]:
    if isinstance(value, dict):
        for name, count in value.items():
            yield "", {label: str(name)}, int(count)


def _quoted(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
