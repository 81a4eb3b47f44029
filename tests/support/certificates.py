"""A certificate authority for tests, and what it certifies: files as a server and a careful client take them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

BEGINS = datetime(2020, 1, 1, tzinfo=UTC)
_NO_USE = {
    "digital_signature": False,
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "encipher_only": False,
    "decipher_only": False,
}
_SIGNS_CERTIFICATES = x509.KeyUsage(key_cert_sign=True, crl_sign=True, **_NO_USE)
ENDS = BEGINS + timedelta(days=36_500)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate's file and its key's."""

    certificate: Path
    key: Path

    @property
    def words(self) -> tuple[str, ...]:
        """As a command line takes them."""
        return ("--tls-cert", str(self.certificate), "--tls-key", str(self.key))


class Authority:
    """Certifies 127.0.0.1 and localhost; `file` is its own certificate."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an authority for tests")])
        self._mark = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        own = self._builder(self._name, self._key).add_extension(x509.BasicConstraints(True, 0), critical=True)
        own = own.add_extension(_SIGNS_CERTIFICATES, critical=True)
        self.file = folder / "ca.pem"
        self.file.write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder(self._name, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(BEGINS).not_valid_after(ENDS)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._mark)
        mark = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        return builder.add_extension(mark, critical=False).add_extension(issuer, critical=False)

    def issue(self, name: str = "server", *, password: bytes | None = None) -> Pair:
        """A fresh pair of files under that name, in the place of an older one."""
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        places = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        builder = self._builder(subject, key).add_extension(x509.SubjectAlternativeName(places), critical=False)
        shut = BestAvailableEncryption(password) if password else NoEncryption()
        _replace(pair.certificate, builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        _replace(pair.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, shut))
        return pair


def _replace(path: Path, data: bytes) -> None:
    fresh = path.with_name(f".{path.name}")
    fresh.touch(0o600)
    fresh.write_bytes(data)
    fresh.replace(path)
