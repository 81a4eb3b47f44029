"""Download a large file while the replica that serves it is killed, again and again.

Makes a file of random bytes, serves it with `trickleweb serve` on free ports of this machine, and downloads it by curl
(with a Python client if curl is not installed). Every second the serving replica gets SIGKILL. At the end the sha256 of
both files are compared; the exit code is 0 only if they are equal and the client succeeded.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from trickles.command import CommandFailed, Parser, whole_number
from trickleweb.cli.demo.programs import Process, client_words, fleet, last_line, sha256_of, started, write_noise
from trickleweb.cli.demo.story import Kill, Story, write_recording
from trickleweb.cli.demo.view import View, verdict
from trickleweb.cli.demo.watching import Watcher
from trickleweb.cli.fleet_options import MAX_REPLICAS
from trickleweb.cli.rundir import RunDir

_SECONDS = 15  # default duration of a download
_LOOK_SECONDS, _SAMPLE_SECONDS = 0.005, 0.1
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


def add_arguments(parser: Parser) -> None:
    parser.add_argument("--size", metavar="SIZE", type=size, default=10**9, help="bytes to move (default: 1G)")
    parser.add_argument("--replicas", metavar="N", type=whole_number(1, MAX_REPLICAS), default=3, help=_REPLICAS)
    parser.add_argument("--limit-rate", metavar="SIZE", type=size, help=_RATE)
    parser.add_argument("--kill-every", metavar="SECONDS", type=seconds, default=1.0, help=_KILL_EVERY)
    parser.add_argument("--client", choices=("auto", "curl", "python"), default="auto", help=_CLIENT)
    parser.add_argument("--directory", metavar="DIR", type=Path, help=_DIRECTORY)
    parser.add_argument("--record", metavar="FILE", type=Path, help="record the events as JSON lines")


_REPLICAS = "number of replicas (default: 3)"
_RATE = f"maximum of bytes a second, with K, M or G (default: such that it lasts {_SECONDS} seconds)"
_KILL_EVERY = "time between kills, 0: none (default: 1)"
_CLIENT = "the client (default: curl if installed)"
_DIRECTORY = "directory of the two files (default: the system's for temporary files)"


def size(text: str) -> int:
    """Parse a size argument: bytes, or with K, M or G thousands, millions or billions of them."""
    found = re.fullmatch(r"([0-9]{1,15})([KMG]?)", text.upper(), re.ASCII)
    if found is None or not int(found[1]):
        raise argparse.ArgumentTypeError(f"not a size such as 300M or 1G: {text!r}")
    return int(found[1]) * _UNITS[found[2]]


def seconds(text: str) -> float:
    """Parse a decimal number of seconds, 0 allowed."""
    if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text, re.ASCII) is None:
        raise argparse.ArgumentTypeError(f"not a number of seconds: {text!r}")
    return float(text)


def run(args: argparse.Namespace) -> int:
    """Run the demonstration; return 0 if the download equals its source."""
    signal.signal(signal.SIGTERM, _interrupt)
    with tempfile.TemporaryDirectory(prefix="trickles-demo-", dir=args.directory) as folder:
        free = shutil.disk_usage(folder).free
        if free < 2 * args.size:
            raise CommandFailed(f"{folder} has room for {free // 10**6} MB: use --size or another --directory")
        return _demonstrate(args, Path(folder))


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _demonstrate(args: argparse.Namespace, folder: Path) -> int:
    site, target, log = folder / "site", folder / "download", folder / "client.log"
    site.mkdir()
    print(f"making {args.size / 1e6:.0f} MB of random bytes ...", flush=True)
    source = write_noise(site / "noise.bin", args.size)
    run_dir, story = RunDir(folder / "run"), Story(args.size, args.replicas)
    rate_bytes = args.limit_rate or max(1, args.size // _SECONDS)
    with fleet(site, run_dir, args.replicas, folder / "fleet.log") as url:
        client, words = client_words(args.client, f"{url}noise.bin", target, rate_bytes)
        print(f"{client} downloads {url}noise.bin through {args.replicas} replicas", flush=True)
        with log.open("wb") as errors, started(words, stderr=errors) as process:
            code = _watch(process, target, story, Watcher(run_dir, args.replicas), args.kill_every)
    download = sha256_of(target)
    for text in verdict(story, client, code, source, download):
        print(text)
    if code:
        print(last_line(log), file=sys.stderr)
    if args.record is not None:
        write_recording(args.record, story, {"client": client, "exit": code, "equal": source == download})
    return 0 if code == 0 and source == download else 1


def _watch(process: Process, target: Path, story: Story, watcher: Watcher, kill_every: float) -> int:
    """Sample, draw and kill until the client ends; return its exit code."""
    view, begun = View(sys.stdout, story), time.monotonic()
    next_sample, next_kill = 0.0, kill_every or float("inf")
    while (code := process.poll()) is None:
        now, received = time.monotonic() - begun, _size_of(target)
        story.grew(now, received)
        if now >= next_sample:
            next_sample += _SAMPLE_SECONDS
            story.add(watcher.look(now, received))
            view.sampled()
        if now >= next_kill and (kill := _kill(story, watcher, now, view)):
            next_kill = now + kill_every
            view.killed(kill)
        time.sleep(_LOOK_SECONDS)
    story.add(watcher.look(time.monotonic() - begun, _size_of(target)))
    view.sampled()
    return code


def _kill(story: Story, watcher: Watcher, now: float, view: View) -> Kill | None:
    """Kill the serving replica, if it is known and alive and another is ready."""
    victim = story.samples[-1].at_work
    pid = None if victim is None else watcher.pid(victim)
    if victim is None or pid is None:
        return None
    if not watcher.others_ready(victim):
        if not story.is_held_up:
            view.held_up()
        story.is_held_up = True
        return None
    story.is_held_up = False
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        kill = Kill(now, victim)
        story.kills.append(kill)
        return kill
    return None


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
