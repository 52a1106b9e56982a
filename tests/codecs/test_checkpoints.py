"""The table of published weights. Oracle: spot checks against CompressAI's list, and what the digits' place implies."""

from __future__ import annotations

import pytest

from miscomp.codecs.checkpoints import (
    CODECS_WITH_CHECKPOINTS,
    METRIC_CHECKPOINTS,
    all_checkpoints,
    checkpoints_of,
    find_checkpoints,
)
from miscomp.errors import UnknownName, UsageError

ROOT = "https://compressai.s3.amazonaws.com/models/v1/"
ARCHITECTURES = ("bmshj2018-factorized", "bmshj2018-hyperprior", "mbt2018-mean", "mbt2018")
CHENG = ("cheng2020-anchor", "cheng2020-attn")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("bmshj2018-factorized@q1", "bmshj2018-factorized-prior-1-446d5c7f.pth.tar"),
        ("bmshj2018-factorized-ms-ssim@q8", "bmshj2018-factorized-ms-ssim-8-8811bd14.pth.tar"),
        ("bmshj2018-hyperprior@q4", "bmshj2018-hyperprior-4-de1b779c.pth.tar"),
        ("bmshj2018-hyperprior-ms-ssim@q2", "bmshj2018-hyperprior-ms-ssim-2-1ff60d1f.pth.tar"),
        ("mbt2018-mean@q8", "mbt2018-mean-8-8089ae3e.pth.tar"),
        ("mbt2018-mean-ms-ssim@q6", "mbt2018-mean-ms-ssim-6-b83bf379.pth.tar"),
        ("mbt2018@q3", "mbt2018-3-22901978.pth.tar"),
        ("mbt2018-ms-ssim@q5", "mbt2018-ms-ssim-5-9b30e3b7.pth.tar"),
        ("cheng2020-anchor@q6", "cheng2020-anchor-6-4c052b1a.pth.tar"),
        ("cheng2020-anchor-ms-ssim@q1", "cheng2020_anchor-ms-ssim-1-20f521db.pth.tar"),
        ("cheng2020-attn@q2", "cheng2020_attn-mse-2-e0805385.pth.tar"),
        ("cheng2020-attn-ms-ssim@q6", "cheng2020_attn-ms-ssim-6-216423ec.pth.tar"),
    ],
)
def test_compressais_files_have_their_published_addresses(name: str, file: str) -> None:
    (checkpoint,) = find_checkpoints(name)
    assert checkpoint.url == ROOT + file
    assert checkpoint.filename == file
    assert checkpoint.sha256 == file.rsplit("-", 1)[1].removesuffix(".pth.tar")
    assert checkpoint.name == name


def test_qualities_rise_from_one_without_gaps() -> None:
    for codec in CODECS_WITH_CHECKPOINTS:
        assert [one.quality for one in checkpoints_of(codec)] == [*range(1, len(checkpoints_of(codec)) + 1)]
    assert {len(checkpoints_of(codec + metric)) for codec in ARCHITECTURES for metric in ("", "-ms-ssim")} == {8}
    assert {len(checkpoints_of(codec + metric)) for codec in CHENG for metric in ("", "-ms-ssim")} == {6}


def test_every_file_can_be_told_from_every_other() -> None:
    everything = all_checkpoints()
    assert len({one.filename for one in everything}) == len(everything)
    known = [one.sha256 for one in everything if one.sha256]
    assert len(set(known)) == len(known) == 91
    assert all(set(digits) <= set("0123456789abcdef") and len(digits) in (8, 64) for digits in known)
    assert all(one.url == "" or one.url.startswith("https://") for one in everything)
    assert all("/" not in one.filename and one.source and one.licence and one.note for one in everything)


def test_notes_name_the_lambda_of_each_quality() -> None:
    assert find_checkpoints("mbt2018@q4")[0].note == "trained for MSE, lambda 0.013"
    assert find_checkpoints("mbt2018-ms-ssim@q8")[0].note == "trained for MS-SSIM, lambda 220"
    assert find_checkpoints("stf@q6")[0].filename == "stf_0483.pth.tar"
    assert "0.2048" in find_checkpoints("cdc@q1")[0].filename  # the higher rate weight makes the smaller files


def test_weights_of_metrics_are_one_file_each() -> None:
    assert [one.name for one in METRIC_CHECKPOINTS] == ["vgg16", "lpips-vgg", "dists"]
    (vgg,) = find_checkpoints("vgg16")
    assert vgg.filename == vgg.url.rpartition("/")[2] == f"vgg16-{vgg.sha256}.pth"  # as torchvision writes its digits
    assert all((one.codec, one.quality) == ("", 0) for one in METRIC_CHECKPOINTS)
    assert checkpoints_of("vgg16") == ()
    with pytest.raises(UsageError, match=r"'dists@q1' names no weights of dists; write dists$"):
        find_checkpoints("dists@q1")
    with pytest.raises(UnknownName, match="'lpips-vgg'"):
        find_checkpoints("lpips-vg")


def test_a_name_alone_stands_for_all_its_qualities() -> None:
    assert find_checkpoints("hific") == checkpoints_of("hific")
    assert checkpoints_of("jpeg") == ()


def test_names_without_weights_are_refused() -> None:
    with pytest.raises(UnknownName, match="'mbt2018'"):
        find_checkpoints("mbt2081")
    for text in ("mbt2018@q9", "mbt2018@q0", "mbt2018@3", "mbt2018@", "mbt2018@0.25bpp", "mbt2018@q²"):
        with pytest.raises(UsageError, match="one of mbt2018@q1 to mbt2018@q8"):
            find_checkpoints(text)
