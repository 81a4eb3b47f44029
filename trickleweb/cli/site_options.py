"""Options of a served folder: the same for `serve` and for the replicas it starts."""

from __future__ import annotations

import argparse
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from trickles.command import CommandFailed, CommandMisused, Parser
from trickleweb.files import CacheRule, SiteOptions

if TYPE_CHECKING:
    from trickleweb.files.manifest import Manifest


def add_site_arguments(parser: Parser, *, needed: bool = True) -> None:
    """Declare the folder and how it is served."""
    parser.add_argument("directory", metavar="DIR", nargs=None if needed else "?", help="the folder to serve")
    parser.add_argument("--listing", action="store_true", help="list folders that have no index.html")
    parser.add_argument(
        "--fallback", metavar="PAGE", default="", help="page of DIR for unknown paths, for single-page applications"
    )
    parser.add_argument("--manifest", metavar="FILE", help=_MANIFEST)
    parser.add_argument("--no-times", action="store_true", help=_NO_TIMES)
    parser.add_argument("--cache-control", metavar="GLOB=VALUE", type=cache_rule, action="append", help=_CACHE)


_MANIFEST = "hashes of DIR that `trickleweb hash` has printed: large files have their ETags at once, on every machine"
_NO_TIMES = "no times in listings, no Last-Modified: for machines whose copies of DIR have different times"
_CACHE = "Cache-Control of matching files, such as 'img/*=max-age=3600' (repeatable; the first match counts)"


def cache_rule(text: str) -> CacheRule:
    """Parse a rule: a glob over paths below the folder, and the Cache-Control of the files that match."""
    pattern, equals, value = text.partition("=")
    if not (pattern and equals and value.isascii() and value.isprintable() and value.strip()):
        raise argparse.ArgumentTypeError(f"not GLOB=VALUE, such as '*.css=max-age=3600': {text!r}")
    return CacheRule(pattern, value.strip())


def site_options(args: argparse.Namespace) -> SiteOptions:
    """Return the parsed options as a value."""
    return SiteOptions(
        listing=args.listing,
        times=not args.no_times,
        fallback=args.fallback,
        cache_rules=tuple(args.cache_control or ()),
    )


def loaded_manifest(args: argparse.Namespace, report: Callable[[str], None]) -> Manifest | None:
    """Read the manifest; raise ManifestError if it cannot be used."""
    if args.manifest is None:
        return None
    from trickleweb.files.hashing import INLINE_BYTES  # a supervisor without a manifest needs neither
    from trickleweb.files.manifest import load_manifest

    return load_manifest(Path(args.manifest), report, above_bytes=INLINE_BYTES)


def site_words(args: argparse.Namespace) -> list[str]:
    """Return the same options as arguments for a replica's command line."""
    listing = ["--listing"] if args.listing else []
    fallback = [f"--fallback={args.fallback}"] if args.fallback else []
    rules = [f"--cache-control={rule.pattern}={rule.value}" for rule in args.cache_control or ()]
    manifest = [f"--manifest={args.manifest}"] if args.manifest is not None else []
    times = ["--no-times"] if args.no_times else []
    return [*listing, *fallback, *manifest, *times, *rules, "--", args.directory]


def checked_fallback(args: argparse.Namespace) -> None:
    """Raise `CommandFailed` if the fallback is no file of the folder: every path would silently be 404."""
    if args.fallback and not (Path(args.directory) / args.fallback).is_file():
        raise CommandFailed(f"there is no page {args.fallback} in {args.directory} for --fallback")


def checked_directory(args: argparse.Namespace) -> Path:
    """Return the folder; raise `CommandMisused` if it is none, or cannot be read."""
    path = Path(args.directory)
    try:
        is_folder = stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError:
        raise CommandMisused(f"no such folder: {path}") from None
    except OSError as error:
        raise CommandMisused(f"{path} cannot be served: {error.strerror}") from None
    if not is_folder:
        raise CommandMisused(f"not a folder: {path}")
    if not os.access(path, os.R_OK | os.X_OK):
        raise CommandMisused(f"{path} may not be read by this user: chmod u+rx {path}, or run as its owner")
    return path
