"""`miscomp disclose verify`: what says another thing than the statement beside it, or than itself, is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from typer.testing import CliRunner, Result

from miscomp.cli.app import app
from miscomp.codecs.catalog import open_codec
from miscomp.disclose.places import Disclosure, read_places, write_places
from miscomp.disclose.risk import RISK_FORM, risk
from miscomp.disclose.sources import picture_of
from miscomp.disclose.statement import Codec, Coding, Detector, Place, Statement
from miscomp.images import encode_png


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["disclose", *map(str, arguments)])


def record(*arguments: object) -> dict[str, Any]:
    return dict(json.loads(run(*arguments, "--json").stdout))


def test_a_stronger_source_type_is_kept_and_is_no_disagreement(tmp_path: Path) -> None:
    kind = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        f'Iptc4xmpExt:DigitalSourceType="{kind}"/></rdf:RDF></x:xmpmeta>'
    )
    Image.new("RGB", (16, 16)).save(tmp_path / "made.jpg", xmp=packet.encode())
    assert run("write", tmp_path / "made.jpg", "--codec", "lucid", "-o", tmp_path / "out.jpg").exit_code == 0
    assert record("read", tmp_path / "out.jpg")["digital_source_type"] == kind
    assert run("verify", tmp_path / "out.jpg").exit_code == 0


def test_captions_and_properties_that_were_changed_are_shown(tmp_path: Path) -> None:
    path, out = tmp_path / "a.tif", tmp_path / "out.tif"
    Image.new("RGB", (16, 16)).save(path)
    run("write", path, "--codec", "hific", "-o", out)
    whole = out.read_bytes()
    shown = run("read", out).stdout
    assert "Caption in exif" in shown and "SHA-256 of the pixels" in shown
    for old, new, said in (
        (b"<miscomp:kind>generative<", b"<miscomp:kind>classical <", "miscomp:kind says 'classical'"),
        (b"Compressed with hific", b"Equal to the original", "is not the one that was written there"),
    ):
        assert old in whole
        out.write_bytes(whole.replace(old, new, 1))
        checked = run("verify", out)
        assert checked.exit_code == 1 and said in checked.stdout
        assert run("mark", out, "-o", tmp_path / "marked.png").exit_code == 1


def test_a_stream_is_not_said_to_be_of_another_codec(tmp_path: Path) -> None:
    path, out = tmp_path / "a.misc", tmp_path / "out.misc"
    path.write_bytes(open_codec("lucid").compress(np.zeros((32, 32, 3), np.uint8), 0.3))
    stopped = run("write", path, "--codec", "hific", "-o", out)
    assert stopped.exit_code == 1 and "stream of lucid" in stopped.stderr and not out.exists()
    assert run("write", path, "--codec", "lucid", "-o", out).exit_code == 0
    assert run("verify", out).exit_code == 0
    unpacked = read_places(out.read_bytes(), out).statements["stream"]
    other = unpacked.model_copy(update={"codec": Codec(name="hific", kind=Coding.GENERATIVE)})
    out.write_bytes(write_places(path.read_bytes(), Disclosure(other, "", "", "", ""), out))
    checked = run("verify", out)
    assert checked.exit_code == 1 and "stream of lucid" in checked.stdout


def test_a_risk_figure_that_does_not_follow_from_its_places_is_shown(tmp_path: Path) -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    places = (Place(x=0, y=0, w=32, h=32, score=1.0),)
    for figure, code in ((risk(places, width=64, height=64), 0), (0.01, 1)):
        said = Statement(
            codec=Codec(name="jpeg", kind=Coding.CLASSICAL),
            picture=picture_of(pixels),
            compared=True,
            detector=Detector(name="fused"),
            findings=1,
            places=places,
            risk=figure,
            risk_form=RISK_FORM,
        )
        path = tmp_path / f"{code}.png"
        path.write_bytes(write_places(encode_png(pixels), Disclosure(said, "c", "d", "", "s"), path))
        checked = run("verify", path)
        assert checked.exit_code == code and ("from its places follows at least" in checked.stdout) == bool(code)
