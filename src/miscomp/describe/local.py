"""A model on this machine: a folder of weights for transformers.

Nothing is downloaded, and nothing leaves the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from miscomp.describe.base import Answer, DescribeError
from miscomp.errors import MissingExtra, WeightsError
from miscomp.images import Pixels


class LocalDescriber:
    """A vision-language model from a folder that the user has: `config.json`, safetensors and a processor.

    The folder's own code is not run and pickled weights are not read. The most likely token is taken each time, so the
    same crops give the same answer on the same machine. Raises `WeightsError` for a folder without a model, and at the
    first question `MissingExtra` without transformers.
    """

    def __init__(self, folder: Path, *, device: str = "", max_answer_tokens: int = 600) -> None:
        if not (folder / "config.json").is_file():
            raise WeightsError(
                folder, "holds no config.json; give a folder with a model for transformers, nothing is downloaded"
            )
        self._folder = folder
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._max_answer_tokens = max_answer_tokens

    @property
    def name(self) -> str:
        """The folder's name; its path stays on this machine."""
        return f"{self._folder.resolve().name} (local)"

    @cached_property
    def _opened(self) -> tuple[Any, Any]:
        """Processor and model."""
        try:
            transformers = import_module("transformers")
            processors, models = transformers.AutoProcessor, transformers.AutoModelForImageTextToText
        except (ImportError, AttributeError) as error:
            raise MissingExtra("transformers >= 4.50", "describe-local", "describing with local weights") from error
        where = str(self._folder.resolve())
        # A name that is no folder would be looked up at a hub; an absolute path and these two settings prevent that.
        safe = {"local_files_only": True, "trust_remote_code": False}
        try:
            processor = processors.from_pretrained(where, **safe)
            model = models.from_pretrained(where, use_safetensors=True, **safe)
        except Exception as error:  # transformers raises many kinds for damaged and foreign folders
            problem = f"cannot be opened as a vision-language model ({type(error).__name__}: {str(error)[:300]})"
            raise WeightsError(self._folder, f"{problem}; it needs a processor and safetensors") from error
        return processor, model.to(self._device).eval()

    def describe(self, crops: Sequence[Pixels], question: str) -> Answer:
        processor, model = self._opened
        pictures = [{"type": "image", "image": Image.fromarray(crop)} for crop in crops]
        messages = [{"role": "user", "content": [*pictures, {"type": "text", "text": question}]}]
        try:
            inputs = processor.apply_chat_template(
                messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
            ).to(self._device)
            length = int(inputs["input_ids"].shape[1])
            with torch.inference_mode():
                tokens = model.generate(**inputs, do_sample=False, max_new_tokens=self._max_answer_tokens)
            answered = tokens[:, length:]
            text = processor.batch_decode(answered, skip_special_tokens=True)[0]
        except (RuntimeError, ValueError, TypeError, KeyError, IndexError, MemoryError) as error:
            problem = f"failed ({type(error).__name__}: {str(error)[:300]}); try a smaller model, or another one"
            raise DescribeError(self.name, problem) from error
        return Answer(text=str(text), prompt_tokens=length, completion_tokens=int(answered.shape[1]))
