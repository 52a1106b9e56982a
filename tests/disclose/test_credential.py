"""Signed manifests: a test chain signs every format; what was changed afterwards shows; states are in plain words."""

from __future__ import annotations

import datetime
import hashlib
import io
import random
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("c2pa", reason="c2pa-python is not installed")

from cryptography import x509

from miscomp.disclose.credential import MEDIA_TYPES, Credential, State, _credential, read_credential, sign
from miscomp.disclose.keys import TestChain, make_test_chain
from miscomp.disclose.manifest import COMPOSITE, ENHANCED, make_manifest, source_type
from miscomp.disclose.signing import Credentials
from miscomp.disclose.statement import Codec, Coding, Detector, Picture, Place, Statement
from miscomp.errors import ImageError, InputError, UsageError
from miscomp.images import decode

FORMATS = {"PNG": {}, "JPEG": {"quality": 90}, "WebP": {"quality": 90}, "AVIF": {"quality": 80}, "TIFF": {}}


def image_file(name: str = "PNG", seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    file = io.BytesIO()
    if name == "JPEG XL":
        pytest.importorskip("pillow_jxl")
        Image.fromarray(pixels).save(file, format="JXL", lossless=True)
        # Only the container holds manifests: a signature, a type, and the codestream in a box.
        boxes = ((b"JXL ", b"\r\n\x87\n"), (b"ftyp", b"jxl \0\0\0\0jxl "), (b"jxlc", file.getvalue()))
        return b"".join((len(content) + 8).to_bytes(4, "big") + kind + content for kind, content in boxes)
    else:
        Image.fromarray(pixels).save(file, format=name.upper(), **FORMATS[name])
    return file.getvalue()


def statement(*, places: tuple[Place, ...] = (), compared: bool = True, kind: Coding = Coding.NEURAL) -> Statement:
    return Statement(
        codec=Codec(name="lucid", kind=kind, version="0.1.0", weights_sha256="ab" * 32, setting="0.25bpp"),
        picture=Picture(width=64, height=48, pixel_sha256="cd" * 32),
        bpp=0.25,
        compared=compared,
        original_sha256=hashlib.sha256(image_file(seed=1)).hexdigest(),
        detector=Detector(name="miscomp", version="1") if compared else None,
        findings=len(places) if compared else None,
        places=places,
        risk=0.25 if places else (0.0 if compared else None),
    )


PLACE = Place(x=3, y=4, w=10, h=12, category="SHAPE", symbol=True, score=0.7)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> TestChain:
    return make_test_chain(tmp_path_factory.mktemp("chain"))


def signed(content: bytes, chain: TestChain, said: Statement, **options: object) -> bytes:
    credentials = Credentials(chain=chain.chain, key=chain.key)
    return sign(content, said, credentials, where="a picture", title="a.png", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(MEDIA_TYPES))
def test_every_format_carries_a_manifest_and_its_pixels_stay(name: str, chain: TestChain) -> None:
    content = image_file(name)
    said = statement(places=(PLACE,))
    done = signed(content, chain, said)
    found = read_credential(done, "it")
    assert found.state == State.UNTRUSTED  # nobody trusts a chain for tests
    assert found.statement == said
    assert found.actions == ("c2pa.opened", "c2pa.edited")
    assert "TEST" in found.signer
    assert np.array_equal(decode(done, "done")[0], decode(content, "before")[0])


def test_who_trusts_the_test_root_is_told_that_the_signer_is_trusted(chain: TestChain) -> None:
    done = signed(image_file(), chain, statement())
    assert read_credential(done, "it", anchors=chain.root.read_text()).state == State.TRUSTED
    assert read_credential(done, "it").codes == ("signingCredential.untrusted",)


def test_a_change_of_the_pixels_makes_it_invalid(chain: TestChain) -> None:
    done = bytearray(signed(image_file(), chain, statement()))
    done[-40] ^= 1
    found = read_credential(bytes(done), "it", anchors=chain.root.read_text())
    assert found.state == State.INVALID
    assert "assertion.dataHash.mismatch" in found.codes


def test_a_change_of_the_statement_makes_it_invalid(chain: TestChain) -> None:
    done = signed(image_file(), chain, statement(places=(PLACE,)))
    at = done.index(b"SHAPE")
    found = read_credential(done[:at] + b"SHAPF" + done[at + 5 :], "it", anchors=chain.root.read_text())
    assert found.state == State.INVALID


def test_a_file_without_a_manifest_has_none() -> None:
    assert read_credential(image_file(), "it") == Credential(state=State.ABSENT)


def test_where_nothing_was_found_it_was_transcoded_and_the_regions_of_findings_are_in_the_manifest() -> None:
    actions = make_manifest(statement(), title="a.png")["assertions"][0]["data"]["actions"]
    assert [one["action"] for one in actions] == ["c2pa.opened", "c2pa.transcoded"]
    assert "changes" not in actions[1]
    edited = make_manifest(statement(places=(PLACE,)), title="a.png")["assertions"][0]["data"]["actions"][1]
    assert edited["action"] == "c2pa.edited"
    assert edited["changes"][0]["region"][0]["shape"] == {
        "type": "rectangle", "unit": "pixel", "origin": {"x": 3, "y": 4}, "width": 10, "height": 12,
    }  # fmt: skip
    unknown = make_manifest(statement(compared=False), title="a.png")["assertions"][0]["data"]["actions"][1]
    assert "not compared" in unknown["description"]


def test_only_generative_codecs_are_said_to_have_synthesised_regions() -> None:
    found = {coding: source_type(coding) for coding in Coding}
    assert found == {Coding.NEURAL: ENHANCED, Coding.GENERATIVE: COMPOSITE, Coding.CLASSICAL: "", Coding.UNKNOWN: ""}


def test_of_the_original_only_its_hash_is_given(chain: TestChain) -> None:
    original = image_file(seed=1)
    alone = signed(image_file(), chain, statement())
    beside = signed(image_file(), chain, statement(), original="photo.png")
    for done in (alone, beside):
        found = read_credential(done, "it")
        assert hashlib.sha256(original).hexdigest() in found.raw
        assert len(done) < len(image_file()) + 20_000  # the manifest has no room for 9,216 random bytes beside the rest
        assert original[60:200] not in done
    assert "photo.png" in read_credential(beside, "it").ingredients


def test_an_earlier_manifest_of_the_file_is_kept(chain: TestChain) -> None:
    first = signed(image_file(), chain, statement(compared=False))
    done = signed(first, chain, statement(), original="photo.png", before=first)
    found = read_credential(done, "it")
    assert found.state == State.UNTRUSTED
    assert found.raw.count('"claim_version": 2') == 2  # its own and the earlier one
    assert len(found.ingredients) == 2


def test_a_certificate_that_ran_out_is_not_said_to_be_a_change_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=2)
    builder = x509.CertificateBuilder
    kept = builder.not_valid_after
    monkeypatch.setattr(builder, "not_valid_after", lambda made, _: kept(made, ends))
    short = make_test_chain(tmp_path / "short")
    done = signed(image_file(), short, statement())
    time.sleep(max(0.0, (ends - datetime.datetime.now(datetime.UTC)).total_seconds()) + 1.1)
    found = read_credential(done, "it", anchors=short.root.read_text())
    assert found.state == State.EXPIRED and "signingCredential.expired" in found.codes
    damaged = bytearray(done)
    damaged[-40] ^= 1
    assert read_credential(bytes(damaged), "it").state == State.INVALID


def test_the_time_of_a_stamp_that_nobody_trusts_is_not_the_time_of_signing() -> None:
    class Report:
        def get_validation_state(self) -> str:
            return "Valid"

    def found(code: str) -> Credential:
        active = {"signature_info": {"time": "2020-01-01T00:00:00+00:00"}}
        results = {"activeManifest": {"success": [{"code": "timeStamp.validated"}, {"code": code}]}}
        return _credential(
            {"active_manifest": "a", "manifests": {"a": active}, "validation_results": results}, Report()
        )

    assert (found("x").signed, found("x").stamped) == ("", "2020-01-01T00:00:00+00:00")
    trusted = found("timeStamp.trusted")
    assert (trusted.signed, trusted.stamped) == ("2020-01-01T00:00:00+00:00", "")


def test_a_program_can_sign_with_a_key_that_is_elsewhere(chain: TestChain, tmp_path: Path) -> None:
    program = tmp_path / "signer.py"
    program.write_text(
        "import sys\n"
        "from cryptography.hazmat.primitives import hashes, serialization\n"
        "from cryptography.hazmat.primitives.asymmetric import ec, utils\n"
        "key = serialization.load_pem_private_key(open(sys.argv[1], 'rb').read(), None)\n"
        "r, s = utils.decode_dss_signature(key.sign(sys.stdin.buffer.read(), ec.ECDSA(hashes.SHA256())))\n"
        "sys.stdout.buffer.write(r.to_bytes(32) + s.to_bytes(32))\n"
    )
    credentials = Credentials(chain=chain.chain, command=(sys.executable, str(program), str(chain.key)))
    done = sign(image_file(), statement(), credentials, where="a picture", title="a.png")
    assert read_credential(done, "it", anchors=chain.root.read_text()).state == State.TRUSTED
    broken = Credentials(chain=chain.chain, command=(sys.executable, "-c", "raise SystemExit('no token')"))
    with pytest.raises(InputError, match=r"did not sign.*no token"):
        sign(image_file(), statement(), broken, where="a picture", title="a.png")


def test_a_key_of_another_chain_is_refused(chain: TestChain, tmp_path: Path) -> None:
    other = make_test_chain(tmp_path / "other")
    with pytest.raises(InputError, match="sign"):
        sign(image_file(), statement(), Credentials(chain=chain.chain, key=other.key), where="it", title="a.png")


@pytest.mark.parametrize("name", sorted(MEDIA_TYPES))
def test_damaged_manifests_are_states_not_crashes(name: str, chain: TestChain) -> None:
    done = signed(image_file(name), chain, statement(places=(PLACE,)))
    chosen = random.Random(name)
    for _ in range(30):
        damaged = bytearray(done)
        if chosen.random() < 0.3:
            del damaged[chosen.randrange(8, len(damaged)) :]
        for _ in range(chosen.randrange(1, 8)):
            damaged[chosen.randrange(16, len(damaged))] = chosen.randrange(256)
        found = read_credential(bytes(damaged), "it", anchors=chain.root.read_text())
        assert found.state in tuple(State)
        if bytes(damaged) != done:
            assert found.state != State.TRUSTED or found.statement == statement(places=(PLACE,))


def test_a_format_that_carries_none_is_said_so(chain: TestChain) -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, format="BMP")
    with pytest.raises(ImageError, match="carries no C2PA manifest"):
        signed(file.getvalue(), chain, statement())
    assert read_credential(file.getvalue(), "it").state == State.ABSENT


def test_the_test_chain_says_test_and_its_key_is_its_owners(chain: TestChain, tmp_path: Path) -> None:
    assert stat.S_IMODE(chain.key.stat().st_mode) == 0o600
    shown = subprocess.run(
        ["openssl", "x509", "-in", chain.chain, "-noout", "-subject", "-issuer"], capture_output=True, text=True
    )
    assert shown.returncode != 0 or shown.stdout.count("TEST") == 4  # organisation and name of signer and root
    with pytest.raises(UsageError, match="already"):
        make_test_chain(chain.chain.parent)
    with pytest.raises(UsageError, match="1 to 3650"):
        make_test_chain(tmp_path / "new", days=0)


def test_files_that_are_no_keys_are_named(chain: TestChain, tmp_path: Path) -> None:
    no_key = tmp_path / "no.pem"
    no_key.write_text("hello")
    for credentials in (
        Credentials(chain=no_key, key=chain.key),
        Credentials(chain=chain.chain, key=no_key),
        Credentials(chain=tmp_path / "missing.pem", key=chain.key),
    ):
        with pytest.raises(InputError, match=r"\.pem: "):
            sign(image_file(), statement(), credentials, where="it", title="a.png")
    with pytest.raises(UsageError, match="one of them"):
        Credentials(chain=chain.chain)
