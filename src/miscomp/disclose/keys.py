"""A chain of certificates for tests. It says TEST in every name; nobody should trust it, and no validator does."""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from miscomp.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

CHAIN, KEY, ROOT = "chain.pem", "key.pem", "root.pem"
DAYS = 90
"""How long a signer's certificate is valid."""
ORGANISATION = "miscomp TEST, not to be trusted"


@dataclass(frozen=True, slots=True)
class TestChain:
    """Where the three files are."""

    __test__ = False  # pytest would take the class for a test

    chain: Path
    """The signer's certificate, then the root's."""
    key: Path
    """The signer's private key, without a password; readable by its owner alone."""
    root: Path
    """What a validator has to be told to trust for its answer to be `trusted`."""


def make_test_chain(folder: Path, *, days: int = DAYS, force: bool = False) -> TestChain:
    """Make a root and a signer (ECDSA on P-256, ES256) that fulfil the profile of C2PA 2.2, 14.5.1.

    Keys are random: they are the one thing here that a seed must not repeat. Raises `UsageError` where the files are
    there already and `force` is not given, and for `days` outside 1 to 3650; `MissingExtra` without cryptography.
    """
    if not 1 <= days <= 3650:
        raise UsageError(f"a test certificate is valid for 1 to 3650 days, got {days}")
    paths = TestChain(folder / CHAIN, folder / KEY, folder / ROOT)
    if (there := [one.name for one in (paths.chain, paths.key, paths.root) if one.exists()]) and not force:
        raise UsageError(f"{folder} holds {', '.join(there)} already; name another folder, or give --force")
    chain, key, root = _make(days)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths.chain.write_bytes(chain)
        paths.root.write_bytes(root)
        paths.key.unlink(missing_ok=True)
        # Created with its rights, not given them afterwards: nobody can read it in between.
        with os.fdopen(os.open(paths.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written to ({error.strerror}); name another folder") from error
    return paths


def _make(days: int) -> tuple[bytes, bytes, bytes]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ModuleNotFoundError as error:
        raise MissingExtra("cryptography", "c2pa", "making certificates") from error
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _root(root_key, days)
    signer = _signer(key, root, root_key, days)
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return signer.public_bytes(pem) + root.public_bytes(pem), private, root.public_bytes(pem)


def _name(name: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, f"miscomp TEST {name}"),
        ]
    )


def _begun(name: str, days: int) -> x509.CertificateBuilder:
    from cryptography import x509

    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))  # clocks differ
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _root(key: EllipticCurvePrivateKey, days: int) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    return (
        _begun("root", days)
        .issuer_name(_name("root"))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _signer(
    key: EllipticCurvePrivateKey, root: x509.Certificate, root_key: EllipticCurvePrivateKey, days: int
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID

    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    return (
        _begun("signer", days)
        .issuer_name(root.subject)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(issuer, critical=False)
        .sign(root_key, hashes.SHA256())
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
