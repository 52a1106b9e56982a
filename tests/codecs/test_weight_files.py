"""Files of weights. Oracles: safetensors' own reader, and hashes by hashlib."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from miscomp.codecs.weight_files import MAX_FILE_BYTES, check_shapes, read, shipped, to_bytes, write
from miscomp.errors import WeightsError

TENSORS = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.ones(1)}


def test_equal_tensors_give_equal_bytes_in_whatever_order() -> None:
    assert to_bytes(TENSORS, {"x": 1}) == to_bytes(dict(reversed(TENSORS.items())), {"x": 1})


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    content = to_bytes(TENSORS, {"architecture": "toy", "n": [1, 2]})
    path = tmp_path / "new" / "w.safetensors"
    assert write(path, content) == hashlib.sha256(content).hexdigest()
    file = read(path, of="a toy")
    assert file.about == {"architecture": "toy", "n": [1, 2]}
    assert all(torch.equal(file.tensors[name], tensor) for name, tensor in load(content).items())


def test_a_file_without_a_text_says_nothing_about_itself(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    for metadata in (None, {"other": "1"}, {"miscomp": "[" * 100_000}):
        path.write_bytes(save(TENSORS, metadata=metadata))
        assert read(path, of="a toy").about is None


def test_what_is_wrong_with_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(to_bytes(TENSORS, {}))
    with pytest.raises(WeightsError, match=r"has the SHA-256 .* expected 00"):
        read(path, of="a toy", sha256="0" * 64)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        read(path, of="a toy")
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(WeightsError, match="weights of a toy have at most"):
        read(path, of="a toy")
    with pytest.raises(WeightsError, match="cannot be read"):
        read(tmp_path, of="a toy")


def test_shapes_names_and_values_must_fit_the_network() -> None:
    model = nn.Linear(3, 2)
    good = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    check_shapes("here", model, good)
    for tensors, problem in (
        ({**good, "more": torch.zeros(1)}, r"more is \(1,\), needed None"),
        ({"weight": good["weight"]}, r"bias is None, needed \(2,\)"),
        ({**good, "bias": torch.zeros(3)}, r"bias is \(3,\), needed \(2,\)"),
        ({**good, "bias": torch.zeros(2, dtype=torch.int64)}, "bias that are not finite floats"),
        ({**good, "bias": torch.full((2,), float("inf"))}, "bias that are not finite floats"),
    ):
        with pytest.raises(WeightsError, match=problem):
            check_shapes("here", model, tensors)


def test_an_installation_without_its_weights_says_so() -> None:
    with pytest.raises(WeightsError, match="install miscomp again"):
        shipped("miscomp.codecs", "none.safetensors")
