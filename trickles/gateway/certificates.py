"""The certificate and key of a gateway: two files that may be replaced while it runs."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from trickles.drivers.keystore.files import PRIVATE, UNALTERED, errors_as, read_file, signature
from trickles.errors import CertificateError

ALPN = "http/1.1"  # the only protocol; users that offer none are served too
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2: with forward secrecy and authentication, as all of 1.3
MOST_BYTES = 1 << 20  # a chain of certificates is a few kB
_HINT = {
    "KEY_VALUES_MISMATCH": "the key does not belong to the certificate",
    "NO_START_LINE": "there is no PEM in it",
    "EE_KEY_TOO_SMALL": "the key is too small",
}


class Certificates:
    """The TLS context for new connections; `look` is cheap enough for every second.

    CertificateError when the first files are unusable. Later unusable ones are reported once; the ones read before stay
    in use, and connections under way are not affected.
    """

    def __init__(self, certificate: Path, key: Path, *, report: Callable[[str], None]) -> None:
        self._files = certificate, key
        self._report = report
        self._read = self._seen = self._signature()
        self._problem: str | None = None
        self.context = server_context(certificate, key)

    def look(self) -> None:
        """Read the files again if they have changed, and are unchanged since the last look: not half written."""
        seen = self._signature()
        settled, self._seen = seen == self._seen, seen
        if settled and seen != self._read:
            self.reload()

    def reload(self) -> None:
        self._read = self._seen = self._signature()
        try:
            self.context = server_context(*self._files)
        except CertificateError as error:
            self._trouble(f"{error} (the certificate read before stays in use)")
            return
        if self._problem is not None:
            self._report(f"{self._files[0]} can be used again")
        self._problem = None

    def _trouble(self, text: str) -> None:
        if text != self._problem:
            self._problem = text
            self._report(text)

    def _signature(self) -> object:
        return tuple(map(signature, self._files))


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return a context for TLS 1.2 and 1.3 with that chain (PEM, leaf first) and key (PEM, private to its user).

    CertificateError names the file at fault, and what mends it.
    """
    with errors_as(CertificateError, certificate):
        read_file(certificate, UNALTERED, most_bytes=MOST_BYTES)
    with errors_as(CertificateError, key):
        read_file(key, PRIVATE, most_bytes=MOST_BYTES)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols([ALPN])
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        why = _HINT.get(error.reason or "", f"not a certificate and its key in PEM ({error.reason or error})")
        raise CertificateError(f"{certificate} and {key}: {why}") from None
    except OSError as error:
        raise CertificateError(f"{certificate} and {key}: {error.strerror}") from None
    return context


def _no_password() -> str:
    raise CertificateError("the key is encrypted, and there is no password: store it decrypted")
