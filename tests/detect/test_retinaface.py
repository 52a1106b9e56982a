"""The network, its anchors and its files; oracles: the architecture's shapes, values by hand, and what was saved."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from miscomp.detect.face_finder import SearchingFinder
from miscomp.detect.retinaface import (
    LEAKY,
    RELU,
    VARIANTS,
    RetinaFaceLook,
    RetinaFaceNet,
    Variant,
    anchors,
    decode,
    load_retinaface,
    probes,
    recorded_variant,
)
from miscomp.errors import WeightsError
from miscomp.images import read

HERE = Path("weights.pth")


def trained(variant: Variant, seed: int = 0) -> RetinaFaceNet:
    """Random weights whose normalisations have recorded the probes under the variant's activation."""
    torch.manual_seed(seed)
    net = RetinaFaceNet(variant)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
            nn.init.uniform_(module.bias, -0.5, 0.5)
    with torch.no_grad():
        net.train()(probes())
    return net.eval()


def saved(state: object, *, legacy: bool = False) -> bytes:
    file = io.BytesIO()
    torch.save(state, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


@pytest.fixture(scope="module")
def net() -> RetinaFaceNet:
    return trained(RELU)


@pytest.mark.parametrize("size", [(64, 96), (65, 33), (8, 8), (1, 1)])
def test_there_is_one_answer_for_each_anchor(net: RetinaFaceNet, size: tuple[int, int]) -> None:
    """Oracle: two anchors at each of ceil(h / s) x ceil(w / s) places, for the strides s of 8, 16 and 32."""
    height, width = size
    count = sum(2 * -(-height // s) * -(-width // s) for s in (8, 16, 32))
    with torch.inference_mode():
        logits, boxes, points = net(torch.zeros(1, 3, height, width))
    assert (logits.shape, boxes.shape, points.shape) == ((1, count, 2), (1, count, 4), (1, count, 10))
    assert anchors(width, height, RELU).shape == (count, 3)


def test_anchors_are_where_the_definition_puts_them() -> None:
    """By hand: rows first, then columns, then sides; centres at half a step."""
    at = anchors(24, 16, LEAKY)
    assert at[:4].tolist() == [[4, 4, 16], [4, 4, 32], [12, 4, 16], [12, 4, 32]]
    assert at[6].tolist() == [4, 12, 16]
    assert at[12:14].tolist() == [[8, 8, 64], [8, 8, 128]]
    assert at[-1].tolist() == [16, 16, 512]
    assert anchors(24, 16, RELU)[:2, 2].tolist() == [10, 20]


def test_offsets_are_decoded_as_computed_by_hand() -> None:
    """Centre (100, 60), side 32: the centre moves by 0.1 * 32 * offset, the sides grow by exp(0.2 * offset)."""
    at = torch.tensor([[100.0, 60.0, 32.0]])
    double = float(np.log(2)) / 0.2
    boxes, points = decode(torch.tensor([[1.0, -2.0, double, 0.0]]), torch.arange(10.0)[None], at)
    assert boxes[0].tolist() == pytest.approx([103.2 - 32, 53.6 - 16, 103.2 + 32, 53.6 + 16], abs=1e-3)
    assert points[0, :4].tolist() == pytest.approx([100, 63.2, 106.4, 69.6], abs=1e-3)


def test_offsets_of_any_size_stay_finite() -> None:
    boxes, _ = decode(torch.full((1, 4), 1e6), torch.zeros(1, 10), torch.tensor([[4.0, 4.0, 10.0]]))
    assert bool(torch.isfinite(boxes).all())


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: v.name)
def test_the_activation_is_told_from_what_training_recorded(variant: Variant) -> None:
    """Oracle: the activation that the statistics were recorded under."""
    assert recorded_variant(trained(variant, seed=3)) == variant


def test_a_network_without_a_record_is_neither_variant() -> None:
    torch.manual_seed(0)
    net = RetinaFaceNet().eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.get_buffer("running_mean").fill_(1e6)
    assert recorded_variant(net) is None


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_saved_network_answers_as_before(net: RetinaFaceNet, prefix: str, legacy: bool) -> None:
    content = saved({prefix + name: tensor for name, tensor in net.state_dict().items()}, legacy=legacy)
    again = load_retinaface(content, HERE)
    x = probes()[:1, :, :64, :96]
    with torch.inference_mode():
        for one, other in zip(net(x), again(x), strict=True):
            assert torch.equal(one, other)


def without(state: dict[str, Tensor]) -> dict[str, object]:
    return {name: tensor for name, tensor in state.items() if name != "fpn.merge1.0.weight"}


def reshaped(state: dict[str, Tensor]) -> dict[str, object]:
    return {**state, "fpn.merge1.0.weight": torch.zeros(64, 64, 1, 1)}


def poisoned(state: dict[str, Tensor]) -> dict[str, object]:
    return {**state, "fpn.merge1.0.weight": torch.full((64, 64, 3, 3), float("nan"))}


def huge(state: dict[str, Tensor]) -> dict[str, object]:
    return {**state, "fpn.merge1.0.weight": torch.zeros(1).expand(10**9)}


def mixed(state: dict[str, Tensor]) -> dict[str, object]:
    return {**state, "fpn.merge1.0.weight": "text"}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (without, "fpn.merge1.0.weight is missing"),
        (reshaped, r"is \(64, 64, 1, 1\), needed \(64, 64, 3, 3\)"),
        (poisoned, "not finite"),
        (huge, r"is \(1000000000,\)"),
        (mixed, "more than tensors"),
    ],
)
def test_another_networks_file_is_refused_by_name(
    net: RetinaFaceNet, change: Callable[[dict[str, Tensor]], dict[str, object]], complaint: str
) -> None:
    with pytest.raises(WeightsError, match=complaint):
        load_retinaface(saved(change(net.state_dict())), HERE)


def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (os.mkdir, (str(tmp_path / "ran"),))

    with pytest.raises(WeightsError, match="more than weights"):
        load_retinaface(saved({"x": Evil()}), HERE)
    assert not (tmp_path / "ran").exists()


def test_damaged_files_are_refused(net: RetinaFaceNet) -> None:
    whole = saved(net.state_dict())
    rng = np.random.default_rng(0)
    damaged = [b"", b"PK\x03\x04", whole[: len(whole) // 2], b"\x80\x02" + rng.bytes(500), whole[:-30]]
    for content in damaged:
        with pytest.raises(WeightsError, match=r"weights\.pth"):
            load_retinaface(content, HERE)


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_unpacked() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(65 * 2**20))
    with pytest.raises(WeightsError, match="unpacks to more"):
        load_retinaface(file.getvalue(), HERE)


def public_weights() -> Path:
    """Where the public checkpoint lies outside the project; skips where it does not."""
    data = os.environ.get("MISCOMP_DATA")
    given = os.environ.get("MISCOMP_WEIGHTS") or (str(Path(data).parent / "weights") if data else "")
    path = Path(given) / "retinaface_mobilenet0.25.pth"
    if not given or not path.is_file():
        pytest.skip("no retinaface_mobilenet0.25.pth in MISCOMP_WEIGHTS or in ../weights of MISCOMP_DATA")
    return path


def test_the_public_weights_find_a_face_where_it_was_seen(data_folder: Path) -> None:
    """Oracle: a person looked: one face, its middle and its eyes at these pixels, to within a few."""
    path = public_weights()
    net = load_retinaface(path.read_bytes(), path)
    assert net.variant == RELU
    picture = read(data_folder / "valid" / "6292444.webp")
    (face,) = SearchingFinder(RetinaFaceLook(net), "test").faces(picture.pixels)
    assert face.box.center == pytest.approx((334, 194), abs=12)
    assert 50 <= face.box.w <= 80 and 60 <= face.box.h <= 95
    assert np.array(face.landmarks[:2]) == pytest.approx(np.array([(310, 176), (337, 174)]), abs=6)
