"""Files of published weights. Oracles: the tensors that torch saved, hashes by hashlib, and a file never written."""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import pickle
import tarfile
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tiny_lucid import values
from torch import Tensor

from miscomp.codecs import checkpoint_files, checkpoint_programs
from miscomp.codecs.checkpoint_files import read_checkpoint
from miscomp.errors import WeightsError

STATE = OrderedDict(
    [
        ("module.g_a.0.weight", values("a", 4, 3, 5, 5)),
        ("g_a.0.bias", torch.nn.Parameter(values("b", 4))),
        ("entropy_bottleneck._offset", torch.arange(3, dtype=torch.int32)),
        ("empty", torch.zeros(0)),
    ]
)


def same(found: dict[str, Tensor], wanted: dict[str, Tensor] = STATE) -> bool:
    return list(found) == list(wanted) and all(torch.equal(found[name], wanted[name]) for name in wanted)


def save(path: Path, content: object, *, zipped: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def repacked(path: Path, change: Callable[[str, bytes], bytes], method: int = zipfile.ZIP_STORED) -> Path:
    """The same archive with other parts."""
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", method) as new:
        for name, part in parts.items():
            new.writestr(name, change(name, part))
    return path


@pytest.mark.parametrize("zipped", [True, False])
def test_a_state_dict_comes_back_as_it_was_saved(tmp_path: Path, zipped: bool) -> None:
    path = save(tmp_path / "w.pth.tar", STATE, zipped=zipped)
    file = read_checkpoint(path)
    assert same(file.tensors)
    assert file.about == {}
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not any(tensor.requires_grad for tensor in file.tensors.values())


@pytest.mark.parametrize("zipped", [True, False])
def test_what_stands_beside_the_state_dict_is_told(tmp_path: Path, zipped: bool) -> None:
    beside: dict[object, object] = {"model": "bmshj2018-hyperprior", "metric": "mse", "quality": 3, "loss": 0.5}
    more: dict[object, object] = {
        "optimizer": {"lr": [0.1]},
        "long": "x" * 2000,
        "big": 10**30,
        7: 7,
        "t": torch.ones(2),
        "none": None,
    }
    content = {**more, **beside, "state_dict": STATE}
    file = read_checkpoint(save(tmp_path / "w.pth.tar", content, zipped=zipped))
    assert file.about == beside
    assert same(file.tensors)


def test_the_weights_are_looked_for_in_a_fixed_order(tmp_path: Path) -> None:
    others = {"ema": {"e": torch.ones(1)}, "model_state_dict": {"m": torch.ones(2)}, "model": {"n": torch.ones(3)}}
    left = dict(others)
    for name, tensors in others.items():
        assert same(read_checkpoint(save(tmp_path / "w.pt", {**left, "step": 5})).tensors, tensors)
        del left[name]


def test_settings_of_a_training_are_no_obstacle(tmp_path: Path) -> None:
    settings = argparse.Namespace(lmbda=0.1, name="hific", regime=None, device=torch.device("cpu"))
    file = read_checkpoint(save(tmp_path / "w.pt", {"args": settings, "steps": 9, "model_state_dict": STATE}))
    assert same(file.tensors)
    assert file.about == {"steps": 9, "args.lmbda": 0.1, "args.name": "hific"}


def test_safetensors_are_read_too(tmp_path: Path) -> None:
    tensors = {name: tensor.detach() for name, tensor in STATE.items()}
    save_file(tensors, tmp_path / "w.bin", metadata={"quality": "3"})
    file = read_checkpoint(tmp_path / "w.bin")
    assert {name: tensor.tolist() for name, tensor in file.tensors.items()} == {
        name: tensor.tolist() for name, tensor in tensors.items()
    }
    assert file.about == {"quality": "3"}


def test_the_hash_must_begin_as_published(tmp_path: Path) -> None:
    path = save(tmp_path / "w.pt", STATE)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    for start in (digest, digest[:8], ""):
        assert read_checkpoint(path, sha256_start=start).sha256 == digest
    wrong = "0" if digest[0] != "0" else "1"
    with pytest.raises(WeightsError, match=rf"w\.pt: has the SHA-256 {digest}.* begins with {wrong}; fetch it again"):
        read_checkpoint(path, sha256_start=wrong)


class Evil:
    """Pickles as a call that would write a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"echo caught > '{self.mark}'",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_wants_to_run_code_does_not(tmp_path: Path, zipped: bool) -> None:
    mark = tmp_path / "mark"
    path = save(tmp_path / "w.pt", {"state_dict": STATE, "epoch": Evil(mark)}, zipped=zipped)
    with pytest.raises(WeightsError, match=r"a program that uses (posix|nt)\.system.* was not run"):
        read_checkpoint(path)
    assert not mark.exists()
    if zipped:
        torch.load(path, weights_only=False)
        assert mark.exists(), "the file is as hostile as it should be"


def test_torchs_own_loader_would_refuse_it_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look before it is a second wall, not the only one."""
    monkeypatch.setattr(checkpoint_files, "check_programs", lambda path, content, count: None)
    mark = tmp_path / "mark"
    for zipped in (True, False):
        path = save(tmp_path / "w.pt", {"state_dict": STATE, "epoch": Evil(mark)}, zipped=zipped)
        with pytest.raises(WeightsError, match="not a whole checkpoint of torch"):
            read_checkpoint(path)
    assert not mark.exists()


class Reduced:
    """Pickles as a call of something that torch's loader allows, but weights do not need."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


@pytest.mark.parametrize(
    "call", [Reduced(bytearray, 10**12), Reduced(torch.Tensor, 10**6, 10**6), {"bytes": b"\x00\xff"}]
)
def test_what_could_fill_the_memory_is_not_called(tmp_path: Path, call: object) -> None:
    with pytest.raises(WeightsError, match="a program that uses"):
        read_checkpoint(save(tmp_path / "w.pt", {"state_dict": STATE, "x": call}))


PAIR = b"K\x01K\x02\x86q\x00"

TWICE = b"h\x00\x86q\x00"
"""Of what was made last and is kept at 0 a tuple of twice that, kept there in its place."""

NESTED = PAIR + 25 * TWICE
"""A tuple of two tuples of two ...: 2^26 numbers for whoever looks at all."""

HOSTILE = {
    "a nested key": (b"}" + NESTED + b"K\x01s.", "builds more than 1000000 values"),
    "a nested value": (b"}K\x01" + NESTED + b"s.", "builds more than 1000000 values"),
    "a key of some size": (b"}" + PAIR + 15 * TWICE + b"K\x01s.", "a key in it is neither a text"),
    "a key with a chosen hash": (b"}\x8a\x09" + (2**61 - 1).to_bytes(9, "little") + b"K\x01s.", "a key in it"),
    "pairs with such keys": (
        b"ccollections\nOrderedDict\n](" + PAIR + b"K\x01\x86e\x85R.",
        "a dictionary of some",
    ),
    "lists of two with such keys": (
        b"ccollections\nOrderedDict\n](](" + PAIR + b"K\x01ee\x85R.",
        "a dictionary of some",
    ),
    "lists of a key and two values": (
        b"ccollections\nOrderedDict\n](](K\x01K\x01K\x01ee\x85R.",
        "a dictionary of some",
    ),
    "one such list after a good one": (
        b"ccollections\nOrderedDict\n](](K\x01K\x01e](" + PAIR + b"K\x01ee\x85R.",
        "a dictionary of some",
    ),
    "a pair that gets another key": (b"](K\x01K\x02eq\x00](h\x00eh\x00" + PAIR + b"a.", "already used elsewhere"),
    "a list of such keys to count": (
        b"ccollections\nCounter\n]" + PAIR + b"a\x85R.",
        "a dictionary of something",
    ),
    "lists that grow later": (b"]q\x00]q\x01(h\x00h\x00eh\x00K\x01a.", "already used elsewhere"),
    "a list in itself": (b"]q\x00h\x00a.", "already used elsewhere"),
    "sizes copied again and again": (
        b"(" + 2000 * b"K\x01" + b"tq\x00](" + 2000 * b"ctorch\nSize\nh\x00\x85R" + b"e.",
        "hands on more than 1000000 values",
    ),
    "tuples in tuples without end": (b"N" + 30_000 * b"\x85" + b".", "tuples in tuples, more than 100 deep"),
    "a call of what is no name": (PAIR + b")R.", "calls what cannot be called"),
    "more than was put there": (b"}\x87.", "refers to what is not there"),
    "what was never kept": (b"h\x07.", "refers to what is not there"),
    "numbers named by more than a text": (b"(U\x07storage" + PAIR + b"tQ.", "names numbers in an unknown way"),
    "a set": (b"\x8f(K\x01\x90.", "saved in a way that cannot be checked"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_small_program_cannot_build_what_takes_forever(tmp_path: Path, case: str) -> None:
    program, told = HOSTILE[case]
    path = save(tmp_path / "w.pt", STATE)
    repacked(path, lambda name, part: b"\x80\x02" + program if name.endswith("data.pkl") else part)
    assert path.stat().st_size < 40_000
    with pytest.raises(WeightsError, match=told):
        read_checkpoint(path)


def test_a_program_of_too_many_steps_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_programs, "MAX_VALUES", 60)
    with pytest.raises(WeightsError, match="takes more than 60 steps"):
        read_checkpoint(save(tmp_path / "w.pt", STATE))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_of_python_2_which_made_dictionaries_of_pairs_is_read(tmp_path: Path, zipped: bool) -> None:
    pairs = [[name, tensor.detach()] for name, tensor in STATE.items()]
    for content in (Reduced(OrderedDict, pairs), {"state_dict": Reduced(OrderedDict, pairs)}):
        assert same(read_checkpoint(save(tmp_path / "w.pt", content, zipped=zipped)).tensors)


@pytest.mark.parametrize("zipped", [True, False])
def test_what_trainings_share_is_read(tmp_path: Path, zipped: bool) -> None:
    """Settings and tensors that stand at several places, and an optimiser's numbered state."""
    betas, weight = (0.9, 0.999), values("w", 100, 100)
    state = {"encoder.weight": weight, "decoder.weight": weight}
    groups = [{"params": [0, 1], "betas": betas}, {"params": [2], "betas": betas}]
    content = {
        "optimizer": {"state": {0: {"step": 3}, 2**47: {}}, "param_groups": groups},
        "ema": state,
        "model": state,
    }
    assert same(read_checkpoint(save(tmp_path / "w.pt", content, zipped=zipped)).tensors, state)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_small_file_cannot_show_as_large_tensors(tmp_path: Path, zipped: bool) -> None:
    few = values("few", 10_000)
    for state, shown in (
        ({"weight": torch.zeros(1).expand(10**5, 10**5)}, 40_000_000_000),
        ({"weight": torch.zeros(1).expand(25_000)}, 100_000),
        ({"a": few, "b": few, "c": few}, 120_000),
    ):
        path = save(tmp_path / "w.pt", state, zipped=zipped)
        has = path.stat().st_size
        with pytest.raises(WeightsError, match=f"holds tensors of {shown} bytes, but has {has} bytes; allowed are 2 t"):
            read_checkpoint(path)


@pytest.mark.parametrize(("code", "told"), [("F4", "float4_e2m1fn_x2"), ("F8_E4M3", "float8_e4m3fn"), ("C64", "comp")])
def test_weights_of_exotic_types_are_refused(tmp_path: Path, code: str, told: str) -> None:
    # Written by hand: not every version of safetensors writes all of them.
    size = {"F4": 4, "F8_E4M3": 8, "C64": 64}[code]
    header = json.dumps({"g_a.0.bias": {"dtype": code, "shape": [8], "data_offsets": [0, size]}}).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))
    with pytest.raises(
        WeightsError, match=rf"holds g_a\.0\.bias as {told}.*allowed .* float16, bfloat16, float32, float64"
    ):
        read_checkpoint(path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_weights_of_common_types_are_read_as_they_are(tmp_path: Path, dtype: torch.dtype) -> None:
    state = {"a": values("a", 5).to(dtype)}
    read = read_checkpoint(save(tmp_path / "w.pt", state)).tensors
    assert same(read, state)
    assert read["a"].dtype == dtype


def test_a_tensor_longer_than_its_numbers_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "w.pt", {"a": torch.zeros(10)})

    def longer(name: str, part: bytes) -> bytes:
        return part.replace(b"K\x0a\x85", b"J\xff\xff\xff\x3f\x85") if name.endswith("data.pkl") else part

    with pytest.raises(WeightsError, match="not a whole checkpoint of torch"):
        read_checkpoint(repacked(path, longer))


def test_compressed_archives_are_refused_before_they_unfold(tmp_path: Path) -> None:
    path = save(tmp_path / "w.pt", {"a": torch.zeros(500_000)})
    repacked(path, lambda name, part: part, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    with pytest.raises(WeightsError, match="compressed parts"):
        read_checkpoint(path)


def test_archives_whose_parts_lie_upon_each_other_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "w.pt", {"a": torch.zeros(1000)})
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        entry = next(entry for entry in archive.infolist() if entry.file_size == 4000)
    size = (4000).to_bytes(4, "little")
    start = content.index(b"PK\x01\x02", archive.start_dir)
    assert content[start:].count(size * 2) == 1, entry
    path.write_bytes(content[:start] + content[start:].replace(size * 2, (2**30).to_bytes(4, "little") * 2))
    with pytest.raises(WeightsError, match="longer than the file"):
        read_checkpoint(path)


def test_an_archive_with_an_endless_table_of_contents_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "w.pt", STATE)
    monkeypatch.setattr(checkpoint_files, "_MAX_PICKLE_BYTES", 100)
    with pytest.raises(WeightsError, match="table of contents is too long"):
        read_checkpoint(path)


def test_names_without_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_files, "_MAX_PICKLE_BYTES", 5000)
    state = {f"layer {number}": torch.zeros(1) for number in range(200)}
    with pytest.raises(WeightsError, match=r"table of contents is too long|no checkpoint as torch\.save"):
        read_checkpoint(save(tmp_path / "w.pt", state))
    with pytest.raises(WeightsError, match="too much beside its weights"):
        read_checkpoint(save(tmp_path / "w.pt", state, zipped=False))


@pytest.mark.parametrize("zipped", [True, False])
def test_truncated_and_damaged_files_are_errors(tmp_path: Path, zipped: bool) -> None:
    """Cut and a bit flipped, in every eleventh place: an error that names the file, or a few tensors."""
    whole = save(tmp_path / "w.pt", {"state_dict": {"a": values("a", 2, 3)}, "quality": 3}, zipped=zipped).read_bytes()
    path = tmp_path / "damaged.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of old ways to write what a flipped bit made
        for place in range(0, len(whole), 11):
            path.write_bytes(whole[:place])
            with pytest.raises(WeightsError, match=r"damaged\.pt"):
                read_checkpoint(path)
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
            try:
                file = read_checkpoint(path)
            except WeightsError as error:
                assert "damaged.pt" in str(error)
            else:
                assert sum(tensor.numel() for tensor in file.tensors.values()) <= 10**6


def test_what_is_no_checkpoint_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    with pytest.raises(WeightsError, match="cannot be read: No such file"):
        read_checkpoint(path)
    path.write_bytes(b"")
    with pytest.raises(WeightsError, match="it is empty"):
        read_checkpoint(path)
    path.write_bytes(b"<html>Not found</html>")
    with pytest.raises(WeightsError, match=r"no file of weights.* begins with 3c 68 74 6d"):
        read_checkpoint(path)
    path.write_bytes(pickle.dumps(Evil(tmp_path / "mark")))
    with pytest.raises(WeightsError, match="no file of weights"):
        read_checkpoint(path)
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("storages"), io.BytesIO())
    with pytest.raises(WeightsError, match="no file of weights"):
        read_checkpoint(path)
    with zipfile.ZipFile(path, "w") as other:
        other.writestr("word/document.xml", "<x/>")
    with pytest.raises(WeightsError, match="zip archive, but no checkpoint"):
        read_checkpoint(path)
    path.write_bytes((10).to_bytes(8, "little") + b'{"a": 1}  ')
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        read_checkpoint(path)
    with pytest.raises(WeightsError, match="is not a file"):
        read_checkpoint(tmp_path)
    with path.open("wb") as file:
        file.truncate(3 * 2**30 + 1)
    with pytest.raises(WeightsError, match="has 3221225473 bytes, allowed are 3221225472"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"epoch": 3, "weights": [torch.ones(1)]}, "a dictionary of epoch, weights"),
        ({}, "a dictionary of nothing"),
        ([torch.ones(1)], "it holds list"),
        ({"state_dict": {}}, "a dictionary of state_dict"),
        ({"state_dict": {"a": torch.ones(1), "b": 3}}, "a dictionary of state_dict"),
        ({"state_dict": {1: torch.ones(1)}}, "a dictionary of state_dict"),
        ({7: 1, 0.5: 2, "step": 3}, "a dictionary of float, int, step"),
    ],
)
def test_a_file_without_a_state_dict_tells_what_it_holds(tmp_path: Path, content: object, told: str) -> None:
    with pytest.raises(WeightsError, match=told):
        read_checkpoint(save(tmp_path / "w.pt", content))


def test_a_dictionary_that_hides_its_content_does_not_confuse(tmp_path: Path) -> None:
    class Hiding:
        def __reduce__(self) -> tuple[Any, ...]:
            hidden = {"items": torch.Size, "keys": 3, "get": OrderedDict}
            return OrderedDict, (), hidden, None, iter(STATE.items())

    assert same(read_checkpoint(save(tmp_path / "w.pt", Hiding())).tensors)


def test_settings_of_a_training_are_told_apart_from_what_the_file_says(tmp_path: Path) -> None:
    settings = {"likelihood_type": "gaussian", "normalize_input_image": True, "betas": (0.9, 0.99), "nested": {"a": 1}}
    for args in (settings, argparse.Namespace(**settings)):
        path = save(tmp_path / "w.pt", {"model_state_dict": STATE, "steps": 3, "args": args})
        assert read_checkpoint(path).about == {
            "steps": 3,
            "args.likelihood_type": "gaussian",
            "args.normalize_input_image": True,
        }
