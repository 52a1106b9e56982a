"""Train the toy codec as one of the processes that a launcher started; each writes down what it ended with."""

from __future__ import annotations

import faulthandler
import json
import sys
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Generator, Tensor, nn
from toy_codec import ToyBatches, ToyLoss, toy_codec

from miscomp.training.config import TrainConfig
from miscomp.training.loop import Stopped, train
from miscomp.training.runfolder import Surroundings

CONFIG = TrainConfig(steps=6, learning_rate=3e-3, warmup=2, precision="no", save_every=2, log_every=3, ema=0.9)


class QuietLoss(ToyLoss):
    """The same noise for every picture, so that it does not matter which process has it."""

    def __call__(
        self, model: nn.Module, x: Tensor, quality: Tensor, noise: Generator
    ) -> tuple[Tensor, dict[str, float]]:
        values, figures = zip(
            *(super(QuietLoss, self).__call__(model, *one, Generator().manual_seed(7)) for one in pieces(x, quality)),
            strict=True,
        )
        means = {name: sum(one[name] for one in figures) / len(figures) for name in figures[0]}
        return torch.stack(values).mean(), means


def pieces(x: Tensor, quality: Tensor) -> list[tuple[Tensor, Tensor]]:
    return list(zip(x.split(1), quality.split(1), strict=True))


class Judge:
    identity = "loss on one batch"

    def __call__(self, model: nn.Module, step: int) -> list[dict[str, float]]:
        value, figures = QuietLoss()(model, *ToyBatches().batch(99), Generator())
        return [{"quality": 0.5, "loss": float(value), **figures}]


def main(folder: Path) -> None:
    """Stop after four steps, go on to the end."""
    told: list[str] = []
    asked: list[int] = []
    place = Accelerator(cpu=True)

    def stop() -> bool:
        # Only the last process is asked to end; the others must follow.
        asked.append(0)
        return place.process_index == place.num_processes - 1 and len(asked) == 4

    around = Surroundings(talk=told.append, stop=stop, validate=Judge())
    try:
        train(toy_codec(), QuietLoss(), ToyBatches(), CONFIG, folder, around=around)
    except Stopped as stopped:
        told_before, end = list(told), str(stopped)
        told.clear()
    model = toy_codec()
    train(model, QuietLoss(), ToyBatches(), CONFIG, folder, around=around)
    parameters = {name: tensor.tolist() for name, tensor in model.named_parameters()}
    report = {
        "first": {"end": end, "told": told_before},
        "second": {"told": told},
        "processes": place.num_processes,
        "parameters": parameters,
    }
    (folder.parent / f"{place.process_index}.json").write_text(json.dumps(report), encoding="utf-8")
    place.end_training()


if __name__ == "__main__":
    faulthandler.dump_traceback_later(60, exit=True)  # processes that wait for each other end some day
    main(Path(sys.argv[1]))
