"""The options of `trickles gateway` that have it speak TLS."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from trickles.command import Parser, one_line
from trickles.errors import LocalProtocolError
from trickles.gateway.certificates import Certificates


def add_tls_arguments(parser: Parser) -> None:
    """Declare them."""
    parser.add_argument("--tls-cert", metavar="FILE", type=Path, help="speak TLS, with this certificate chain (PEM)")
    parser.add_argument("--tls-key", metavar="FILE", type=Path, help="its key (PEM), which no other user may read")


def certificates(args: argparse.Namespace) -> Certificates | None:
    """What they say; CertificateError when the files cannot be used, LocalProtocolError when one is missing."""
    if (args.tls_cert is None) != (args.tls_key is None):
        raise LocalProtocolError("--tls-cert and --tls-key go together")
    if args.tls_cert is None:
        return None

    def tell(text: str) -> None:
        print(f"trickles gateway: {one_line(text)}", file=sys.stderr, flush=True)

    return Certificates(args.tls_cert, args.tls_key, report=tell)
