"""A certificate of the tests' own, for loopback and for names that only the tests know."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True)
class Certificate:
    """The certificate, which makes itself trusted as a bundle; its key; and a file with both, as haproxy wants it."""

    path: Path
    key: Path
    both: Path

    @property
    def context(self) -> ssl.SSLContext:
        """What a server in Python needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path, self.key)
        return context


def make_certificate(folder: Path, *names: str) -> Certificate:
    """Make a certificate for 127.0.0.1 and these names."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "faulty")])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    also = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), *map(x509.DNSName, names)]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), start,
                                start.replace(year=2099))
        .add_extension(x509.SubjectAlternativeName(also), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = serialization.Encoding.PEM
    cert = made.public_bytes(pem)
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    found = Certificate(folder / "cert.pem", folder / "key.pem", folder / "both.pem")
    for path, text in ((found.path, cert), (found.key, private), (found.both, cert + private)):
        path.write_bytes(text)
    return found
