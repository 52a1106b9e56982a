"""Local weights. `transformers` is a stand-in object without a model here; the oracle is how it is called."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from miscomp.describe.base import DescribeError
from miscomp.describe.local import LocalDescriber
from miscomp.errors import MissingExtra, WeightsError
from miscomp.images import Pixels

CROP: Pixels = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)


class Inputs(dict[str, torch.Tensor]):
    def to(self, device: str) -> Inputs:
        return self


class StandIn:
    """Stands in for transformers' classes, for a processor and for a model, and notes each call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any, dict[str, Any]]] = []
        self.failure: Exception | None = None

    def from_pretrained(self, where: str, **options: Any) -> StandIn:
        self.calls.append(("open", where, options))
        if self.failure is not None:
            raise self.failure
        return self

    def to(self, device: str) -> StandIn:
        return self

    def eval(self) -> StandIn:
        return self

    def apply_chat_template(self, messages: Any, **options: Any) -> Inputs:
        self.calls.append(("ask", messages, options))
        return Inputs(input_ids=torch.tensor([[1, 2, 3, 4, 5]]))

    def generate(self, **options: Any) -> torch.Tensor:
        self.calls.append(("generate", None, options))
        if self.failure is not None:
            raise self.failure
        return torch.tensor([[1, 2, 3, 4, 5, 65, 66, 67]])

    def batch_decode(self, tokens: torch.Tensor, *, skip_special_tokens: bool) -> list[str]:
        assert skip_special_tokens
        return ["".join(map(chr, row)) for row in tokens.tolist()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "eyes").mkdir()
    (tmp_path / "eyes" / "config.json").write_text("{}", encoding="utf-8")
    return tmp_path / "eyes"


@pytest.fixture
def standin(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    one = StandIn()
    module = SimpleNamespace(AutoProcessor=one, AutoModelForImageTextToText=one)
    monkeypatch.setitem(sys.modules, "transformers", module)
    return one


def test_the_model_is_opened_once_offline_and_without_its_own_code(folder: Path, standin: StandIn) -> None:
    describer = LocalDescriber(folder, device="cpu")
    assert standin.calls == []
    describer.describe([CROP], "What is there?")
    describer.describe([CROP], "What is there?")
    opened = [(where, options) for call, where, options in standin.calls if call == "open"]
    assert len(opened) == 2  # the processor and the model
    for where, options in opened:
        assert where == str(folder.resolve())
        assert options["local_files_only"] is True and options["trust_remote_code"] is False
    assert opened[1][1]["use_safetensors"] is True


def test_an_answer_is_what_was_generated_beyond_the_question_with_its_tokens(folder: Path, standin: StandIn) -> None:
    answer = LocalDescriber(folder, device="cpu").describe([CROP, CROP], "What is there?")
    assert (answer.text, answer.prompt_tokens, answer.completion_tokens) == ("ABC", 5, 3)
    (((message,), options),) = [(m, o) for call, m, o in standin.calls if call == "ask"]
    assert message["role"] == "user" and message["content"][2] == {"type": "text", "text": "What is there?"}
    for part in message["content"][:2]:
        assert part["type"] == "image" and np.array_equal(np.asarray(part["image"]), CROP)
    assert options["add_generation_prompt"] is True
    (generated,) = [options for call, _, options in standin.calls if call == "generate"]
    assert generated["do_sample"] is False and generated["max_new_tokens"] == 600


def test_a_folder_that_cannot_be_opened_and_a_model_that_fails_are_told(folder: Path, standin: StandIn) -> None:
    describer = LocalDescriber(folder, device="cpu")
    standin.failure = OSError("no file named model.safetensors")
    with pytest.raises(WeightsError, match=r"eyes: cannot be opened .*model\.safetensors"):
        describer.describe([CROP], "What is there?")
    standin.failure = None
    describer.describe([CROP], "What is there?")
    standin.failure = RuntimeError("out of memory")
    with pytest.raises(DescribeError, match=r"eyes \(local\): failed \(RuntimeError: out of memory"):
        describer.describe([CROP], "What is there?")


def test_without_transformers_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (None, SimpleNamespace()):  # not installed, and too old
        monkeypatch.setitem(sys.modules, "transformers", module)
        with pytest.raises(MissingExtra, match=r"miscomp\[describe-local\]"):
            LocalDescriber(folder).describe([CROP], "What is there?")


def test_a_name_at_a_hub_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match="nothing is downloaded"):
        LocalDescriber(Path("someone/some-model"))
