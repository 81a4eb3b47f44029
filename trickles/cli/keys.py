"""Create, rotate and show the keys that the replicas of one fleet share.

A fleet's identity is created once; clients pin it (DIR/server.pub) or trust it on first use. It certifies epochs, the
keys that seal the state which clients carry. All replicas hold the same epochs: give each --keyring DIR, a copy of DIR
without identity.key, or TRICKLES_KEYRING. They notice new epochs within seconds, without a restart.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator

from trickles.cli.verify_keys import add_verify_arguments, verify
from trickles.command import Parser, whole_number
from trickles.drivers import keystore
from trickles.drivers.keystore.making import DEFAULT_DELAY, DEFAULT_KEEP, MAX_DELAY, MAX_KEEP
from trickles.drivers.keystore.validity import date, ends, is_due, warning
from trickles.drivers.world import wall_us
from trickles.errors import KeyringError
from trickles.handshake import DAY, ROTATE_EVERY, hello_public_key
from trickles.keyring import Epoch, Keyring, fingerprint
from trickles.limits import SECOND
from trickles.printable import one_line

_DELAY = f"""seconds from now until the new epoch seals (default: {DEFAULT_DELAY // SECOND}). By then every replica must
have read it, or it refuses continuations of the others. Choose more than copying the files to all machines takes;
0 is for a single replica, or after a leak."""
_IF_DUE = f"""do nothing while an epoch is to come, or younger than {ROTATE_EVERY // DAY} days: for a daily
timer"""
_KEEP = f"""number of epochs to keep, with the new one (default: {DEFAULT_KEEP}). Continuations of a dropped epoch are
refused, so keep epochs for as long as downloads may pause, for example a day. The epoch in force is always kept."""


def add_arguments(parser: Parser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, title="actions")
    for name, (_, summary, declare) in ACTIONS.items():
        action = actions.add_parser(name, help=summary, description=summary)
        declare(action)


def run(args: argparse.Namespace) -> int:
    """Run the chosen action and print its output; KeyringError when it fails."""
    for line in ACTIONS[args.action][0](args):
        print(one_line(line))
    return 0


def _init(args: argparse.Namespace) -> Iterator[str]:
    ring = keystore.init_keystore(args.directory, comment=args.comment)
    yield f"made a fleet's identity and epoch {_name(ring.epochs[0])}; clients pin {args.directory}/server.pub:"
    yield keystore.server_key_text(keystore.fleet_identity(ring), args.comment)


def _rotate(args: argparse.Namespace) -> Iterator[str]:
    due = is_due if args.if_due else lambda _ring, _now: True
    done = keystore.rotate_if(due, args.directory, delay=args.not_before * SECOND, keep=args.keep)
    if done is None:
        return
    start, end = date(done.fresh.not_before), date(ends(done.fresh))
    yield f"epoch {_name(done.fresh)} is in force from {start}, certified until {end}"
    for identifier in done.dropped:
        yield f"epoch {keystore.epoch_name(identifier)} is dropped"


def _list(args: argparse.Namespace) -> Iterator[str]:
    ring = keystore.load_keyring(args.keyring)
    yield "epoch     state       in force from         certificate ends      fingerprint"
    yield from _rows(ring)
    _warn(ring)


def _show(args: argparse.Namespace) -> Iterator[str]:
    ring = keystore.load_keyring(args.keyring)
    identity = keystore.fleet_identity(ring)
    yield keystore.server_key_text(identity)
    yield f"identity  {fingerprint(identity)}"
    for epoch in ring.epochs:
        yield f"epoch     {fingerprint(hello_public_key(epoch))}  {_name(epoch)}, certified until {date(ends(epoch))}"
    _warn(ring)


def _export(args: argparse.Namespace) -> Iterator[str]:
    ring = keystore.load_keyring(args.directory)
    if args.output is not None:
        keystore.save_keyring(ring, args.output)
    elif sys.stdout.isatty():
        raise KeyringError(
            "secrets are not printed on a terminal: use TRICKLES_KEYRING=$(trickles keys export DIR), or --output"
        )
    else:
        yield keystore.keyring_text(ring)


def _rows(ring: Keyring) -> Iterator[str]:
    now = wall_us()
    in_force = ring.newest(now)
    for epoch in ring.epochs:
        state = "in force" if epoch is in_force else "to come" if epoch.not_before > now else "opens only"
        dates = f"{date(epoch.not_before)}  {date(ends(epoch))}"
        yield f"{_name(epoch)}  {state:10}  {dates}  {fingerprint(hello_public_key(epoch))}"


def _warn(ring: Keyring) -> None:
    if text := warning(ring, wall_us()):
        print(one_line(f"trickles keys: WARNING: {text}"), file=sys.stderr)


def _name(epoch: Epoch) -> str:
    return keystore.epoch_name(epoch.identifier)


def _of_init(parser: Parser) -> None:
    _directory(parser)
    parser.add_argument(
        "--comment", metavar="TEXT", default="", help="text for people, at the end of server.pub's line"
    )


def _of_rotate(parser: Parser) -> None:
    _directory(parser)
    seconds, epochs = whole_number(0, MAX_DELAY // SECOND), whole_number(1, MAX_KEEP)
    parser.add_argument(
        "--not-before", metavar="SECONDS_FROM_NOW", type=seconds, default=DEFAULT_DELAY // SECOND, help=_DELAY
    )
    parser.add_argument("--keep", metavar="N", type=epochs, default=DEFAULT_KEEP, help=_KEEP)
    parser.add_argument("--if-due", action="store_true", help=_IF_DUE)


def _of_verify(parser: Parser) -> None:
    _keyring(parser)
    add_verify_arguments(parser)


def _of_export(parser: Parser) -> None:
    _directory(parser)
    parser.add_argument("--output", "-o", metavar="FILE", help="write a file with mode 0600, for --keyring FILE")


def _directory(parser: Parser) -> None:
    parser.add_argument("directory", metavar="DIR", help="the directory of the keys, with mode 0700")


def _keyring(parser: Parser) -> None:
    parser.add_argument("keyring", metavar="DIR", help="the directory of the keys, or a file that `keys export` wrote")


ACTIONS: dict[str, tuple[Callable[[argparse.Namespace], Iterator[str]], str, Callable[[Parser], None]]] = {
    "init": (_init, "create a fleet's identity and its first epoch in DIR", _of_init),
    "rotate": (_rotate, "add an epoch that seals a little later, and drop the oldest", _of_rotate),
    "list": (_list, "list the epochs, and which is in force", _keyring),
    "show": (_show, "show the public identity and the fingerprints, without secrets", _keyring),
    "export": (_export, "print all epochs as the value of TRICKLES_KEYRING, or write them to one file", _of_export),
    "verify": (
        verify,
        "ask running replicas whether they hold these epochs; status 1 if one does not",
        _of_verify,
    ),
}
