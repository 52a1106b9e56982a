"""The learning rate over the steps of a run."""

from __future__ import annotations

from miscomp.training.config import LoopConfig


def learning_rate_factor(step: int, config: LoopConfig) -> float:
    """Share of the learning rate at `step`: warm-up, constant between drops, linear decay to zero."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    decay_steps = max(int(config.steps * config.decay), 1)
    dropped = sum(step >= share * config.steps for share in config.drops)
    return min((config.steps - step) / decay_steps, 1.0) * config.drop_factor**dropped
