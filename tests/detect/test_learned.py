"""The learned detector with a tiny network. Oracles: the network called on the whole picture, files on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from tiny_network import TINY, noise, tiny_network, tiny_weights

from miscomp.detect.base import DetectSettings
from miscomp.detect.learned import LearnedDetector, categories
from miscomp.detect.learned_weights import read_network, serialise, write_network
from miscomp.detect.network import DetectorNetwork
from miscomp.errors import SizeMismatch, WeightsError
from miscomp.taxonomy import Category
from miscomp.tensors import to_tensor

ALL = DetectSettings(minimum_score=0, per_megapixel=1e4)


def detector() -> LearnedDetector:
    return LearnedDetector(tiny_weights())


def test_blocks_give_what_the_whole_picture_gives() -> None:
    a, b = noise(16 * 70, 16 * 20, 1), noise(16 * 70, 16 * 20, 2)
    maps = detector().answers(a, b)
    with torch.inference_mode():
        whole = tiny_network()(to_tensor(a), to_tensor(b))
    np.testing.assert_allclose(maps.score, whole.log_p.exp()[0, 0].numpy(), atol=1e-5)
    np.testing.assert_allclose(maps.categories.sum(2), 1, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (17, 33), (64, 64)])
def test_any_size_gives_one_answer_per_cell(size: tuple[int, int]) -> None:
    maps = detector().answers(noise(*size, 1), noise(*size, 2))
    assert maps.score.shape == (-(-size[0] // 4), -(-size[1] // 4))
    found = detector()(noise(*size, 1), noise(*size, 2), ALL)
    for one in found.found:
        one.box.check_inside(size[1], size[0])


def test_equal_pictures_have_no_detections() -> None:
    a = noise(40, 60)
    found = detector()(a, a.copy(), ALL)
    assert found.found == () and not found.heat.any()


def test_unequal_sizes_are_refused() -> None:
    with pytest.raises(SizeMismatch, match="60 x 40"):
        detector()(noise(40, 60), noise(40, 61), ALL)


def test_the_same_pair_gives_the_same_detections_with_evidence_for_every_question() -> None:
    a, b = noise(96, 96, 1), noise(96, 96, 2)
    first, second = detector()(a, b, ALL), detector()(a, b, ALL)
    assert first.found == second.found and len(first.found) > 3
    for one in first.found:
        assert all((one.changed, one.relevant, one.suspicion, one.expected, one.category_evidence, one.category))
    scores = [one.score for one in first.found]
    assert scores == sorted(scores, reverse=True)


def test_settings_bound_number_and_score() -> None:
    a, b = noise(96, 96, 1), noise(96, 96, 2)
    few = detector()(a, b, DetectSettings(minimum_score=0, per_megapixel=1, at_least=2)).found
    assert len(few) == 2
    assert detector()(a, b, DetectSettings(minimum_score=1)).found == ()


def test_a_second_category_is_named_from_its_share_on() -> None:
    shares = {Category.AMPLITUDE: 0.6, Category.GEOMETRY: 0.05, Category.SHAPE: 0.35}
    named, evidence = categories(shares)
    assert named == "AMPLITUDE+SHAPE"
    assert evidence.value == 0.6 and evidence.numbers["shape"] == 0.35
    assert categories({**shares, Category.SHAPE: 0.2})[0] == "AMPLITUDE"


def test_weights_survive_a_file_and_name_the_version(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    sha256 = write_network(tiny_network(), path)
    loaded = LearnedDetector(path)
    assert loaded.version == f"learned-1+{sha256[:8]}"
    a, b = noise(64, 64, 1), noise(64, 64, 2)
    np.testing.assert_allclose(loaded.answers(a, b).score, detector().answers(a, b).score, atol=2e-2)
    assert path.read_bytes() == serialise(tiny_network())


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    for content, problem in (
        (b"", "not a whole safetensors file"),
        (b"\x08" + bytes(7) + b"not json", "not a whole safetensors file"),
        (save({"a": torch.zeros(1)}), "does not hold the detector's weights"),
        (save({"a": torch.zeros(1)}, metadata={"miscomp": "[[["}), "does not hold the detector's weights"),
        (serialise(tiny_network())[:-9], "not a whole safetensors file"),
    ):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=problem):
            read_network(path)
    with pytest.raises(WeightsError, match="cannot be read"):
        read_network(tmp_path / "none")


def test_weights_of_other_shapes_or_values_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    good = serialise(DetectorNetwork(TINY))
    header = {"miscomp": '{"architecture": "miscomp detector", "config": ' + '{"stem": 99999}}'}
    path.write_bytes(save(load(good), metadata=header))
    with pytest.raises(WeightsError, match="does not hold the detector's weights"):
        read_network(path)
    broken = DetectorNetwork(TINY)
    with torch.no_grad():
        broken.changed.weight.fill_(float("nan"))
    with pytest.raises(ValueError, match=r"changed\.weight are not finite"):
        serialise(broken)
    path.write_bytes(good)
    with pytest.raises(WeightsError, match="SHA-256"):
        read_network(path, sha256="0" * 64)
