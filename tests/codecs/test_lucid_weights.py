from __future__ import annotations

import json
import re
import struct
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from tiny_lucid import TINY, integer_frequencies, photograph, tiny_model, values
from torch import Tensor

from miscomp.codecs.catalog import CODECS
from miscomp.codecs.frequencies import Frequencies
from miscomp.codecs.lucid import Lucid
from miscomp.codecs.lucid_model import LucidConfig
from miscomp.codecs.lucid_weights import (
    of_model,
    read_weights,
    serialise,
    shipped_weights,
    write_weights,
)
from miscomp.codecs.weight_files import MAX_FILE_BYTES
from miscomp.errors import WeightsError

Tensors = dict[str, Tensor]


@cache
def good() -> bytes:
    return serialise(tiny_model())


def tables(frequencies: Frequencies) -> list[list[int]]:
    return [half.tolist() for half in frequencies.halves]


def test_weights_come_back_from_their_file_and_equal_ones_give_equal_bytes(tmp_path: Path) -> None:
    model, frequencies = tiny_model(), integer_frequencies()
    sha256 = write_weights(model, tmp_path / "a.safetensors", frequencies=frequencies)
    assert write_weights(tiny_model(), tmp_path / "b.safetensors", frequencies=integer_frequencies()) == sha256
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    read = read_weights(tmp_path / "a.safetensors", sha256=sha256)
    assert read.model.config == TINY
    assert read.sha256 == sha256
    assert tables(read.frequencies) == tables(frequencies)
    written, state = model.state_dict(), read.model.state_dict()
    transforms = [name for name in written if not name.startswith("entropy.")]
    assert all(torch.equal(state[name], written[name]) for name in transforms)
    assert not any(weight.requires_grad for weight in read.model.parameters())
    assert not read.model.training


def test_what_was_read_is_written_as_it_was_but_for_the_prior_s_interpolated_scales() -> None:
    first = serialise(tiny_model())
    second = serialise(of_model(tiny_model()).model)
    third = serialise(of_model(of_model(tiny_model()).model).model)
    one, two = load(first), load(second)
    assert [name for name in one if not torch.equal(one[name], two[name])] in ([], ["entropy.z_index"])
    assert int((one["entropy.z_index"].int() - two["entropy.z_index"].int()).abs().max()) <= 1
    assert third == second


def test_the_entropy_networks_to_train_on_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_weights(tiny_model(), path)
    read, original = read_weights(path).model, tiny_model()
    y, z, quality = values("y", 1, 9, 4, 4), values("z", 1, 6, 1, 1), torch.full((1, 1, 4, 4), 0.4)
    outputs = [model.entropy(4 * y, z, quality, torch.Generator().manual_seed(0)) for model in (read, original)]
    assert torch.allclose(outputs[0][0], outputs[1][0], atol=0.05)
    assert float(outputs[0][1]) == pytest.approx(float(outputs[1][1].detach()), rel=0.02)


def test_the_same_weights_at_hand_and_from_a_file_write_the_same_streams(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_weights(tiny_model(), path)
    x = photograph(64, 64)
    assert Lucid(path).compress(x, 0.5) == Lucid.from_model(tiny_model()).compress(x, 0.5)


def test_half_precision_halves_the_transforms_and_is_what_both_sides_use(tmp_path: Path) -> None:
    full, half = tmp_path / "full.safetensors", tmp_path / "half.safetensors"
    write_weights(tiny_model(), full)
    write_weights(tiny_model(), half, dtype=torch.float16)
    floats = {name for name in tiny_model().state_dict() if not name.startswith("entropy.")}
    sizes = [
        sum(tensor.nbytes for name, tensor in load(path.read_bytes()).items() if name in floats)
        for path in (full, half)
    ]
    assert sizes[0] == 2 * sizes[1]
    x = photograph(65, 64)
    content = Lucid(half).compress(x, 0.5, pixel_checksum=True)
    assert Lucid(half).decompress(content).shape == x.shape


@pytest.mark.parametrize("name", ["g_a.lift.weight", "entropy.contexts.1.mix.weight"])
def test_weights_that_are_not_finite_are_not_written(name: str, tmp_path: Path) -> None:
    model = tiny_model()
    with torch.no_grad():
        model.get_parameter(name)[0] = 1e6 if name.startswith("g_a") else float("nan")
    with pytest.raises(ValueError, match="not finite"):
        write_weights(model, tmp_path / "half.safetensors", dtype=torch.float16)
    assert not list(tmp_path.iterdir())


def test_damaged_foreign_and_missing_weights_are_told_apart(tmp_path: Path) -> None:
    content = serialise(tiny_model())
    cases = {
        "cannot be read": None,
        "not a whole safetensors": content[: len(content) // 2],
        "not a whole": b"\x80\x02}q\x00." * 10,
        "does not hold weights of lucid": content.replace(b': \\"lucid\\"', b': \\"other\\"'),
        "does not fit its own widths": content.replace(b'\\"stem\\": 4', b'\\"stem\\": 5'),
        "holds an entropy model that does not fit": content.replace(b'\\"prior\\": 4', b'\\"prior\\": 5'),
        "whole number from 1": content.replace(b'\\"hyper\\": 6', b'\\"hyper\\": 0'),
    }
    path = tmp_path / "bad.safetensors"
    for message, bad in cases.items():
        path.unlink(missing_ok=True)
        if bad is not None:
            assert bad != content
            path.write_bytes(bad)
        with pytest.raises(WeightsError, match=rf"bad\.safetensors: .*{message}"):
            Lucid(path)
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"SHA-256 .* expected 00"):
        read_weights(path, sha256="00" * 32)


def test_a_file_that_is_cut_anywhere_is_refused(tmp_path: Path) -> None:
    content, path = serialise(tiny_model()), tmp_path / "cut.safetensors"
    for end in [0, 1, 7, 8, 9, 100, *range(200, len(content), 997), len(content) - 1]:
        path.write_bytes(content[:end])
        with pytest.raises(WeightsError, match="whole safetensors"):
            read_weights(path)


def test_a_header_that_claims_gigabytes_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "claims.safetensors"
    path.write_bytes(struct.pack("<Q", 2**60) + b"{}")
    with pytest.raises(WeightsError):
        read_weights(path)
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(WeightsError, match=f"has {MAX_FILE_BYTES + 1} bytes"):
        read_weights(path)


def hostile(path: Path, change: Callable[[Tensors], object], config: dict[str, Any] | None = None) -> Path:
    """A weights file whose tensors or widths somebody changed."""
    tensors = load(good())
    change(tensors)
    about = {"architecture": "lucid", "config": asdict(TINY) if config is None else config}
    path.write_bytes(save({name: t.contiguous() for name, t in tensors.items()}, {"miscomp": json.dumps(about)}))
    return path


def refused(path: Path) -> str:
    begin = time.perf_counter()
    with pytest.raises(WeightsError) as caught:
        read_weights(path)
    assert time.perf_counter() - begin < 3
    assert caught.value.where == str(path)
    return caught.value.problem


def test_a_file_that_nobody_changed_is_read(tmp_path: Path) -> None:
    assert read_weights(hostile(tmp_path / "good.safetensors", lambda tensors: None)).model.config == TINY


FLAT, SIZES = integer_frequencies().flat()
C1 = "entropy.contexts.1."


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("g_a.lift.weight", torch.zeros(8, 768, 1, 1)),
        ("g_a.lift.weight", torch.full((9, 768, 1, 1), float("nan"))),
        ("g_a.lift.weight", torch.full((9, 768, 1, 1), float("inf"))),
        ("g_a.lift.weight", torch.zeros(9, 768, 1, 1, dtype=torch.int32)),
        ("g_a.lift.weight", torch.zeros(9, 768, 1, 1, dtype=torch.complex64)),
        ("g_a.more.weight", torch.zeros(1)),
        ("junk", torch.zeros(1)),
        ("entropy.junk", torch.zeros(1, dtype=torch.int32)),
        ("entropy.contexts.3.unit", torch.zeros(1, dtype=torch.int8)),
        ("frequencies.junk", torch.zeros(1, dtype=torch.int32)),
        (f"{C1}mix.weight", torch.zeros(6, 6)),
        (f"{C1}mix.weight", torch.full((6, 6), float("nan"))),
        (f"{C1}mix.weight", torch.zeros(6, 6, dtype=torch.complex64)),
        (f"{C1}mix.weight", torch.full((6, 6), 2**15, dtype=torch.int32)),
        (f"{C1}mix.weight", torch.full((6, 6), -(2**63), dtype=torch.int64)),
        (f"{C1}mix.weight", torch.zeros(6, 7, dtype=torch.int16)),
        (f"{C1}mix.weight", torch.zeros(36, dtype=torch.int16)),
        (f"{C1}mix.bias", torch.full((6,), 2**50 + 1)),
        (f"{C1}mix.shift", torch.tensor([2**62])),
        (f"{C1}mix.shift", torch.tensor([-1])),
        (f"{C1}mix.shift", torch.tensor([], dtype=torch.int32)),
        (f"{C1}out.weight", torch.zeros(8, 6, dtype=torch.int16)),
        (f"{C1}unit", torch.full((3,), 11, dtype=torch.int8)),
        (f"{C1}earlier_unit", torch.full((2,), -11, dtype=torch.int8)),
        (f"{C1}quality", torch.full((3, 6), 2**41)),
        (f"{C1}quality", torch.full((3, 6), -(2**63))),
        (f"{C1}quality", torch.zeros(4, 6, dtype=torch.int64)),
        ("entropy.thresholds", torch.zeros(62, dtype=torch.int32)),
        ("entropy.thresholds", torch.arange(63, 0, -1)),
        ("entropy.thresholds", torch.tensor([255, 0] * 31 + [255], dtype=torch.uint8)),
        ("entropy.z_index", torch.full((256, 6), 64, dtype=torch.uint8)),
        ("entropy.z_index", torch.full((256, 6), -1, dtype=torch.int8)),
        ("entropy.z_index", torch.full((256, 6), 2**63 - 1).to(torch.uint64) * 2),
        ("entropy.z_index", torch.zeros(256, 0, dtype=torch.uint8)),
        ("entropy.h_s.1.weight", torch.zeros(17, 128, dtype=torch.int16)),
        ("frequencies.values", torch.from_numpy(FLAT).int() + 1),
        ("frequencies.values", torch.from_numpy(FLAT).float()),
        ("frequencies.values", torch.full((len(FLAT),), float("nan"))),
        ("frequencies.values", -torch.from_numpy(FLAT).int()),
        ("frequencies.values", torch.from_numpy(FLAT).int()[None]),
        ("frequencies.sizes", torch.from_numpy(SIZES[:-1]).int()),
        ("frequencies.sizes", torch.from_numpy(SIZES).float()),
        ("frequencies.sizes", torch.full((64,), 2**62)),
        ("frequencies.sizes", torch.zeros(12_000_000, dtype=torch.int8)),
    ],
)
def test_a_hostile_tensor_is_an_error_that_names_the_file_and_quick(name: str, tensor: Tensor, tmp_path: Path) -> None:
    def change(tensors: Tensors) -> None:
        if name.startswith("frequencies"):
            tensors["frequencies.values"], tensors["frequencies.sizes"] = (
                torch.from_numpy(FLAT),
                torch.from_numpy(SIZES),
            )
        tensors[name] = tensor
        if name == "entropy.h_s.1.weight":
            tensors["entropy.h_s.1.bias"] = torch.zeros(17, dtype=torch.int64)

    refused(hostile(tmp_path / "hostile.safetensors", change))


def without(name: str, tensors: Tensors) -> None:
    del tensors[name]


def test_each_missing_tensor_is_an_error_that_names_it(tmp_path: Path) -> None:
    for name in load(good()):
        problem = refused(hostile(tmp_path / "less.safetensors", partial(without, name)))
        assert re.sub(r"^entropy\.(contexts\.\d\.)?", "", name) in problem


@pytest.mark.parametrize(
    "config",
    [
        {},
        {**asdict(TINY), "more": 1},
        {name: width for name, width in asdict(TINY).items() if name != "stem"},
        {**asdict(TINY), "stem": 4.0},
        {**asdict(TINY), "stem": True},
        {**asdict(TINY), "stem": 2**40},
        {**asdict(TINY), "groups": "abc"},
        {**asdict(TINY), "groups": 9},
        {**asdict(TINY), "groups": [9]},
        {**asdict(TINY), "groups": [3, 2, 4]},
        {**asdict(TINY), "groups": [0] * 100_000},
        {**asdict(TINY), "gain_steps": 1},
        {**asdict(TINY), "gain_steps": 4096},
        dict.fromkeys(asdict(TINY), 4096) | {"groups": [4096], "hidden": [4096]},
        {**asdict(TINY), "latent": 4096, "groups": [2, 3, 4091]},
    ],
)
def test_hostile_widths_are_an_error_and_quick(config: dict[str, Any], tmp_path: Path) -> None:
    refused(hostile(tmp_path / "wide.safetensors", lambda tensors: None, config))


@pytest.mark.parametrize("text", ["", "[]", "null", "1e999", '{"architecture": []}', "[" * 100_000, '"lucid"'])
def test_hostile_metadata_are_an_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "metadata.safetensors"
    path.write_bytes(save(load(good()), {"miscomp": text}))
    assert "does not hold weights of lucid" in refused(path)


@pytest.mark.parametrize("codec", ["lucid", "slic"])
def test_the_package_s_weights_are_small_have_the_default_widths_and_a_card(codec: str) -> None:
    path, row = shipped_weights(codec), CODECS[codec].weights
    assert row is not None
    assert path.stat().st_size < 10e6
    assert row.sha256 in path.with_suffix(".md").read_text(encoding="utf-8")
    weights = read_weights(path, sha256=row.sha256)
    assert weights.model.config == LucidConfig()
    assert bool(weights.frequencies.coded.any())
