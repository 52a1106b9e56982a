"""Who signs: a chain of certificates with a private key at hand, or with a program that signs elsewhere."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from miscomp.errors import InputError, MissingExtra, UsageError

if TYPE_CHECKING:
    from c2pa import Signer

_MAX_PEM = 1024 * 1024
_MAX_SIGNATURE = 64 * 1024
_SECONDS = 120
"""How long a program may take to sign: a person may have to press a button on a token."""
_RSA_LEAST = 2048
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A signer's own. One of `key` and `command` is given."""

    chain: Path
    """PEM: the signer's certificate first, then those that issued it."""
    key: Path | None = None
    """PEM, PKCS #8, without a password."""
    command: tuple[str, ...] = ()
    """A program that reads what is to be signed from stdin and writes the signature to stdout: for keys in a token, a
    cloud or on another machine. ECDSA signatures are r and s side by side (IEEE P1363), as COSE wants them."""
    timestamp_url: str = ""
    """An RFC 3161 service, asked over the network when signing; empty: no trusted time is in the signature."""

    def __post_init__(self) -> None:
        if bool(self.key) == bool(self.command):
            raise UsageError("a signer needs its private key (--key) or a program that signs (--signer), one of them")
        if self.timestamp_url and not self.timestamp_url.startswith(("http://", "https://")):
            raise UsageError(f"the time stamp service is {self.timestamp_url!r}; it begins with http:// or https://")


def open_signer(credentials: Credentials, failures: list[InputError]) -> Signer:
    """A signer of the c2pa library. Raises `InputError` for files that are none, `MissingExtra` without the library.

    What goes wrong in a program that signs is added to `failures`: the library does not say it.
    """
    try:
        import c2pa
    except ModuleNotFoundError as error:
        raise MissingExtra("c2pa-python", "c2pa", "making a signed manifest") from error
    chain = _read_pem(credentials.chain, "CERTIFICATE")
    algorithm = _algorithm(credentials.chain, chain)
    url = credentials.timestamp_url or None
    try:
        if credentials.key is not None:
            key = _read_pem(credentials.key, "PRIVATE KEY")
            found: Any = c2pa.C2paSignerInfo(algorithm.encode(), chain, key, url.encode() if url else None)
            return c2pa.Signer.from_info(found)
        code = c2pa.C2paSigningAlg[algorithm.upper()]
        return c2pa.Signer.from_callback(_asking(credentials.command, failures), code, chain.decode("ascii"), url)
    except (c2pa.C2paError, ValueError) as error:
        raise InputError(
            credentials.key or credentials.chain, f"cannot be signed with: {error}; is the key that of the chain?"
        ) from error


def _read_pem(path: Path, kind: str) -> bytes:
    try:
        if path.stat().st_size > _MAX_PEM:
            raise InputError(path, f"has {path.stat().st_size} bytes, a PEM file at most {_MAX_PEM}")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from error
    if b"ENCRYPTED" in content:
        raise InputError(path, "is a private key with a password; give one without, or a program that signs (--signer)")
    if f"{kind}-----".encode() not in content or not content.isascii():
        raise InputError(path, f"is no PEM file with a {kind.lower()}; convert it with openssl")
    return content


def _algorithm(path: Path, chain: bytes) -> str:
    """Which of C2PA's algorithms (2.2, 13.2.1) the signer's key is for."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    except ModuleNotFoundError as error:
        raise MissingExtra("cryptography", "c2pa", "making a signed manifest") from error
    try:
        leaf = x509.load_pem_x509_certificates(chain)[0]
        key = leaf.public_key()
    except (ValueError, IndexError, x509.UnsupportedGeneralNameType) as error:
        raise InputError(path, f"cannot be read as a chain of certificates: {error}") from error
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _RSA_LEAST:
        return "ps256"
    raise InputError(
        path,
        f"its first certificate is for a {type(key).__name__.strip('_')}; C2PA allows ECDSA on P-256, P-384 and "
        f"P-521, Ed25519, and RSA of {_RSA_LEAST} bits or more",
    )


def _asking(command: tuple[str, ...], failures: list[InputError]) -> Callable[[bytes], bytes]:
    def sign(content: bytes) -> bytes:
        try:
            return ask(content)
        except InputError as error:
            failures.append(error)
            raise

    def ask(content: bytes) -> bytes:
        try:
            done = subprocess.run(command, input=content, capture_output=True, timeout=_SECONDS, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            said = (getattr(error, "stderr", None) or b"")[-300:].decode("utf-8", "replace").strip()
            raise InputError(command[0], f"did not sign: {error}{f' ({said})' if said else ''}") from error
        if not 0 < len(done.stdout) <= _MAX_SIGNATURE:
            raise InputError(command[0], f"wrote {len(done.stdout)} bytes as a signature; see its documentation")
        return done.stdout

    return sign
