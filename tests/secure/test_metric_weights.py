"""Weights of metrics from files. Oracle: the same metric opened from the states themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from formula_vgg import linear_state, picture_pair, vgg16_state

from miscomp.codecs.checkpoints import find_checkpoints
from miscomp.codecs.weight_store import place
from miscomp.errors import UnknownName, UsageError, WeightsError
from miscomp.metrics.perceptual import PERCEPTUAL, open_metric
from miscomp.secure.metric_weights import lacking_weights, open_metric_with_files


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MISCOMP_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read by every test and changed by none: it has 59 MB."""
    path = tmp_path_factory.mktemp("vgg16") / "backbone.pth"
    torch.save(vgg16_state(), path)
    return path


@pytest.fixture
def files(tmp_path: Path, backbone: Path) -> dict[str, Path]:
    torch.save(linear_state(), tmp_path / "linear.pth")
    return {"vgg16": backbone, "lpips-vgg": tmp_path / "linear.pth"}


def test_a_metric_is_opened_with_the_files_given(files: dict[str, Path]) -> None:
    expected = open_metric("lpips", {"vgg16": vgg16_state(), "lpips-vgg": linear_state()})(*picture_pair())
    assert lacking_weights("lpips", files) == ()
    assert torch.equal(open_metric_with_files("lpips", files)(*picture_pair()), expected)


def test_a_metric_without_weights_needs_no_files() -> None:
    assert lacking_weights("gmsd") == ()
    assert open_metric_with_files("gmsd")(*picture_pair()).shape == (2,)


def test_missing_weights_are_told_by_name_before_any_is_read(files: dict[str, Path]) -> None:
    assert lacking_weights("lpips") == ("vgg16", "lpips-vgg")
    with pytest.raises(WeightsError, match=r"metric lpips: needs .* vgg16 and lpips-vgg, .* fetch vgg16 lpips-vgg"):
        open_metric_with_files("lpips")
    with pytest.raises(WeightsError, match="metric lpips: needs the trained weights lpips-vgg, "):
        open_metric_with_files("lpips", {"vgg16": files["vgg16"].with_name("gone.pth")})


def test_fetched_files_are_used_and_must_have_their_published_hash(files: dict[str, Path]) -> None:
    there = place(find_checkpoints("lpips-vgg")[0])
    there.write_bytes(files["lpips-vgg"].read_bytes())
    given = {"vgg16": files["vgg16"]}
    assert lacking_weights("lpips", given) == ()
    with pytest.raises(WeightsError, match=rf"{there}: has the SHA-256 .* begins with a78928a0"):
        open_metric_with_files("lpips", given)


def test_a_file_of_other_weights_is_named(files: dict[str, Path]) -> None:
    swapped = {"vgg16": files["vgg16"], "lpips-vgg": files["vgg16"]}
    with pytest.raises(
        WeightsError, match=r"backbone.pth: does not hold the weights lpips-vgg of the metric lpips: lin0"
    ):
        open_metric_with_files("lpips", swapped)
    files["lpips-vgg"].write_bytes(b"no weights")
    with pytest.raises(WeightsError, match=r"linear.pth: is no file of weights"):
        open_metric_with_files("lpips", files)
    with pytest.raises(WeightsError, match=r"gone.pth: cannot be read"):
        open_metric_with_files("vgg", {"vgg16": files["vgg16"].with_name("gone.pth")})


def test_files_that_a_metric_has_no_use_for_are_refused(files: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="gmsd takes no weights 'lpips-vgg', 'vgg16'; it needs none"):
        open_metric_with_files("gmsd", files)
    with pytest.raises(UsageError, match="vgg takes no weights 'lpips-vgg'; it needs vgg16"):
        open_metric_with_files("vgg", files)
    with pytest.raises(UnknownName, match="unknown metric 'ssim'"):
        open_metric_with_files("ssim")


def test_every_name_of_weights_can_be_fetched() -> None:
    for row in PERCEPTUAL:
        assert lacking_weights(row.name) == row.weights
