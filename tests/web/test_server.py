"""The process: sockets, TLS, who may be served, and what it imports. Oracle: what each test's name says."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from annotating import batched
from corpora import small_corpus

from miscomp.annotate.accounts import add_account
from miscomp.corpus.entries import Role
from miscomp.errors import InputError, UnknownName, UsageError
from miscomp.web.exposure import Exposure, Tls
from miscomp.web.server import PORT, address_of, listen, make_server
from miscomp.web.store import Mode, is_loopback, open_store

pytestmark = pytest.mark.loopback


def certificate(folder: Path) -> Tls:
    """A certificate for 127.0.0.1 that nobody signed."""
    x509 = pytest.importorskip("cryptography.x509")
    from ipaddress import ip_address

    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert, secret = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return Tls(cert, secret)


def test_a_taken_port_is_passed_over_unless_it_was_asked_for() -> None:
    with listen("127.0.0.1", None) as first, listen("127.0.0.1", None) as second:
        assert first.proto == socket.IPPROTO_TCP  # by which asyncio knows to send small answers at once
        ports = [one.getsockname()[1] for one in (first, second)]
        assert ports[0] != ports[1] and ports[1] >= PORT
        with pytest.raises(UsageError, match="another --port"):
            listen("127.0.0.1", ports[0])


def test_an_address_of_another_computer_is_refused() -> None:
    for host in ("192.0.2.1", "name with spaces", ""):
        with pytest.raises(UsageError, match="--host"):
            listen(host, None)


def test_addresses_are_written_as_browsers_read_them() -> None:
    with listen("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        assert address_of(sock, "127.0.0.1", secure=False) == f"http://127.0.0.1:{port}"
        assert address_of(sock, "0.0.0.0", secure=True) == f"https://127.0.0.1:{port}"
        assert address_of(sock, "::", secure=False) == f"http://[::1]:{port}"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.evil.example", False),
    ],
)
def test_what_only_this_computer_reaches(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_strangers_are_served_only_with_accounts_and_tls(tmp_path: Path) -> None:
    tls = Tls(tmp_path / "cert.pem")
    Exposure().check(Mode.SINGLE)
    for exposure in (
        Exposure(host="0.0.0.0", tls=tls),
        Exposure(host="10.0.0.1", insecure=True),
        Exposure(proxies=("127.0.0.1",), names=("labels.example.org",)),
    ):
        with pytest.raises(UsageError, match="accounts"):
            exposure.check(Mode.SINGLE)
        exposure.check(Mode.LAB)
    with pytest.raises(UsageError, match="--cert"):
        Exposure(host="0.0.0.0").check(Mode.LAB)
    with pytest.raises(UsageError, match="--public-name"):
        Exposure(proxies=("127.0.0.1",)).door()


def test_names_that_are_answered_to() -> None:
    local = Exposure().door()
    assert not local.knows("10.0.0.1:80") and not local.knows(f"{socket.gethostname()}.evil.example")
    served = Exposure(host="0.0.0.0", names=("Labels.Example.org",)).door()
    for host in ("labels.example.org:443", "LABELS.example.org.", "10.0.0.1", "[fe80::1]:80", socket.gethostname()):
        assert served.knows(host), host
    assert not served.knows("evil.example") and not served.knows("") and not served.knows("10.0.0.1.evil.example")


def test_who_works_alone_is_the_only_labeler_or_the_one_named(tmp_path: Path) -> None:
    one = small_corpus(tmp_path / "one", images=1, labels=False, batches={"labelers": ["ann"]})
    assert open_store(one).labeler == "ann"
    several = batched(tmp_path / "several", images=1)
    with pytest.raises(UsageError, match="--labeler"):
        open_store(several)
    with pytest.raises(UnknownName, match="Did you mean 'labeler-1'"):
        open_store(several, labeler="labeler1")
    add_account(several, "labeler-1", roles=[Role.LABELER], password="correct horse battery")
    assert open_store(several).mode is Mode.LAB
    with pytest.raises(UsageError, match="accounts"):
        open_store(several, labeler="labeler-1")


def test_tls_by_files(tmp_path: Path) -> None:
    tls = certificate(tmp_path)
    exposure = Exposure(tls=tls)
    store = open_store(batched(tmp_path / "corpus", images=1), labeler="labeler-1", door=exposure.door())
    sock = listen("127.0.0.1", 0)
    server = make_server(store, tls=tls)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        address = address_of(sock, "127.0.0.1", secure=True)
        trusted = ssl.create_default_context(cafile=str(tls.cert))
        until = time.monotonic() + 10
        while not server.started and time.monotonic() < until:
            time.sleep(0.01)
        with httpx.Client(base_url=address, verify=trusted) as client:
            answer = client.get("/enter", params={"key": store.keys.printed})
            assert "__Host-" in answer.headers["set-cookie"] and "; Secure" in answer.headers["set-cookie"]
            assert client.get("/api/me").status_code == 200
    finally:
        server.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


def test_a_certificate_that_is_none_is_refused(tmp_path: Path) -> None:
    store = open_store(batched(tmp_path / "corpus", images=1), labeler="labeler-1")
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate", encoding="utf-8")
    for tls in (Tls(bad), Tls(tmp_path / "missing.pem"), Tls(certificate(tmp_path).cert, bad)):
        with pytest.raises(InputError, match="--cert"):
            make_server(store, tls=tls)


def test_no_torch_in_the_process() -> None:
    script = (
        "import sys, miscomp.web.server, miscomp.web.store, miscomp.corpus.manifest, miscomp.cli.annotate_commands;"
        "print(*[name for name in ('torch', 'cv2', 'matplotlib', 'ray', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
