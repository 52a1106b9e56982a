"""UNetJPEG and its files. Oracles: Table A1's channel counts, plain functions of torch, hand-made damage."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load, save_file
from tiny_lucid import values
from torch import Tensor

from miscomp.codecs.weight_files import to_bytes, write
from miscomp.errors import WeightsError
from miscomp.training.unet_jpeg import MAX_WIDTH, UNetJpeg, read_unet_jpeg, write_unet_jpeg

TABLE_A1 = ((4, 64), (64, 128), (128, 256), (256, 512), (512, 1024), (1024, 512), (512, 256), (256, 128), (128, 64))


def tiny(*, residual: bool = False) -> UNetJpeg:
    network = UNetJpeg(2, residual=residual)
    state = {name: values(name, *tensor.shape) for name, tensor in network.state_dict().items()}
    network.load_state_dict(state)
    return network


def picture(height: int = 32, width: int = 48, count: int = 1) -> Tensor:
    return values("picture", count, 3, height, width) / 2 + 0.5


def test_the_paper_s_network_has_the_parameters_of_its_table() -> None:
    of_table = sum(9 * a * b + b for a, b in TABLE_A1) + 64 * 3 + 3
    with torch.device("meta"):
        network = UNetJpeg()
    assert sum(parameter.numel() for parameter in network.parameters()) == of_table == 12_539_203


def test_it_computes_what_the_table_says() -> None:
    network, x = tiny(), picture()
    w = network.state_dict()

    def stage(y: Tensor, name: str) -> Tensor:
        return F.relu(F.conv2d(y, w[f"{name}.weight"], w[f"{name}.bias"], padding=1))

    e1 = stage(torch.cat((x, torch.full((1, 1, 32, 48), 0.4)), 1), "down.0")
    e2 = stage(F.max_pool2d(e1, 2), "down.1")
    e3 = stage(F.max_pool2d(e2, 2), "down.2")
    e4 = stage(F.max_pool2d(e3, 2), "down.3")
    y = stage(F.max_pool2d(e4, 2), "down.4")
    for number, skip in enumerate((e4, e3, e2, e1)):
        y = stage(F.interpolate(y, scale_factor=2, mode="bilinear"), f"up.{number}") + skip
    wanted = torch.sigmoid(F.conv2d(y, w["last.weight"], w["last.bias"]))
    torch.testing.assert_close(network(x, torch.tensor([40.0])), wanted)


def test_with_residual_the_logit_of_the_picture_is_added_before_the_sigmoid() -> None:
    plain, residual, quality = tiny(), tiny(residual=True), torch.tensor([50.0])
    x = picture().clamp(0.01, 0.99)
    torch.testing.assert_close(residual(x, quality), torch.sigmoid(plain(x, quality).logit() + x.logit()))


def test_with_residual_it_begins_as_the_identity_to_a_quarter_of_a_level() -> None:
    x = picture(19, 23)
    difference = UNetJpeg(2, residual=True)(x, torch.tensor([50.0])) - x
    assert float(difference.detach().abs().max()) < 0.25 / 255 + 1e-6


@pytest.mark.parametrize("size", [(1, 1), (15, 33), (64, 16)])
def test_any_size_stays_as_it_is(size: tuple[int, int]) -> None:
    out = tiny()(picture(*size, count=2), torch.tensor([10.0, 100.0]))
    assert out.shape == (2, 3, *size)
    assert float(out.detach().min()) >= 0 and float(out.detach().max()) <= 1


def test_the_quality_matters() -> None:
    assert not torch.equal(tiny()(picture(), torch.tensor([10.0])), tiny()(picture(), torch.tensor([90.0])))


@pytest.mark.parametrize("residual", [False, True])
def test_a_file_gives_the_same_network_and_the_same_bytes(tmp_path: Path, residual: bool) -> None:
    network = tiny(residual=residual)
    sha256 = write_unet_jpeg(network, tmp_path / "a")
    loaded = read_unet_jpeg(tmp_path / "a", sha256=sha256)
    assert (loaded.network.width, loaded.network.residual, loaded.sha256) == (2, residual, sha256)
    quality = torch.tensor([30.0])
    assert torch.equal(loaded.network(picture(), quality), network.half().float()(picture(), quality))
    assert write_unet_jpeg(loaded.network, tmp_path / "b") == sha256


def test_weights_that_float16_cannot_hold_are_not_written(tmp_path: Path) -> None:
    network = tiny()
    network.last.weight.data.fill_(1e6)
    with pytest.raises(ValueError, match=r"last\.weight are not finite as float16"):
        write_unet_jpeg(network, tmp_path / "a")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"architecture": "miscomp detector"}, "does not hold the weights of UNetJPEG .architecture"),
        ({"width": "2"}, "width '2'"),
        ({"width": True}, "width True"),
        ({"width": 0}, "width 0"),
        ({"width": 10**9}, f"1 to {MAX_WIDTH}"),
        ({"residual": 1}, "residual 1"),
        ({"width": 3}, "does not fit its own widths"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, about: dict[str, object], message: str) -> None:
    write_unet_jpeg(tiny(), tmp_path / "good")
    tensors = load((tmp_path / "good").read_bytes())
    good = {"architecture": "miscomp UNetJPEG", "width": 2, "residual": False}
    write(tmp_path / "bad", to_bytes(tensors, {**good, **about}))
    with pytest.raises(WeightsError, match=message):
        read_unet_jpeg(tmp_path / "bad")


def test_files_of_something_else_are_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "a")
    with pytest.raises(WeightsError, match="give a file of miscomp train jpegsim"):
        read_unet_jpeg(tmp_path / "a")
    (tmp_path / "b").write_bytes((tmp_path / "a").read_bytes()[:-1])
    with pytest.raises(WeightsError, match="is not a whole safetensors file"):
        read_unet_jpeg(tmp_path / "b")
    with pytest.raises(WeightsError, match="expected 1234"):
        read_unet_jpeg(tmp_path / "a", sha256="1234")
