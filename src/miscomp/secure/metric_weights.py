"""Differentiable metrics with their trained weights: files that are given, else those in the folder of fetched ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from miscomp.codecs.checkpoint_files import read_checkpoint
from miscomp.codecs.checkpoints import find_checkpoints
from miscomp.codecs.weight_store import find, recorded
from miscomp.errors import UsageError, WeightsError
from miscomp.metrics.perceptual import PERCEPTUAL, missing_weights, open_metric
from miscomp.metrics.pretrained import Misfit


def lacking_weights(name: str, files: Mapping[str, Path] | None = None) -> tuple[str, ...]:
    """Names of the weights that a metric needs and that are neither given nor fetched. Raises `UnknownName`."""
    return tuple(one for one in PERCEPTUAL[name].weights if one not in (files or {}) and _fetched(one)[0] is None)


def open_metric_with_files(name: str, files: Mapping[str, Path] | None = None) -> nn.Module:
    """The metric of that name; `files` stand in the place of fetched ones, by the names of the weights.

    Raises `UnknownName`, `MissingExtra`, `UsageError` for files that the metric does not need, and `WeightsError`
    naming the file for one that is missing, damaged or does not fit.
    """
    files, row = files or {}, PERCEPTUAL[name]
    if idle := sorted(files.keys() - set(row.weights)):
        needs = f"it needs {' and '.join(row.weights)}" if row.weights else "it needs none"
        raise UsageError(f"the metric {name} takes no weights {', '.join(map(repr, idle))}; {needs}")
    found = {one: (files[one], "") if one in files else _fetched(one) for one in row.weights}
    paths = {one: path for one, (path, _) in found.items() if path is not None}
    if lacking := [one for one in row.weights if one not in paths]:
        raise missing_weights(name, lacking)
    states = {one: read_checkpoint(path, sha256_start=found[one][1]).tensors for one, path in paths.items()}
    try:
        return open_metric(name, states)
    except Misfit as error:
        raise WeightsError(
            paths[error.weights], f"does not hold the weights {error.weights} of the metric {name}: {error.problem}"
        ) from error


def _fetched(weights: str) -> tuple[Path | None, str]:
    """Where a fetched file lies, and what its SHA-256 must begin with: the whole of it where it was recorded."""
    (checkpoint,) = find_checkpoints(weights)
    found = recorded(checkpoint)
    return find(checkpoint), found if found.startswith(checkpoint.sha256) else checkpoint.sha256
