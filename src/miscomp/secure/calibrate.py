"""Measure where the lines between survivors and destroyed lie for a set of weights, and how often they are wrong.

Lines are drawn on some photographs, error rates measured on others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from miscomp.errors import UsageError
from miscomp.secure.calibration import Calibration, Thresholds, weights_sha256
from miscomp.secure.codec import SecureCodec
from miscomp.secure.locate import iou, mask_of
from miscomp.secure.rates import auc, roc, share
from miscomp.secure.samples import PAPER, UNEDITED, WINDOW, Splice, Window, splice_of, windows_of
from miscomp.secure.survival import BLOCK, CELL, Plane, State, largest_region
from miscomp.secure.verify import LEAST_BLOCKS, Answer, answer, classify

FALSE_ALARMS = 0.01
"""Share of uncoded windows that may be taken for coded, on the photographs that the lines are drawn on."""

LEAST_SHARE = 0.02
"""Share of destroyed blocks below which no picture is said to carry the perturbation, whatever was measured."""

LEAST_REGION = 4
"""Blocks below which no region of survivors counts, whatever was measured: 32 x 32 pixels."""

REACHES = tuple(range(0, 81, CELL))
"""Pixels that are tried."""

_MOST_WRONG, _SAME = 0.1, 0.001
_BINS = np.linspace(-7, 0, 71)

Progress = Callable[[int, int, str], None]
Floats = npt.NDArray[np.float64]


def calibrate(
    tune: Sequence[Path], test: Sequence[Path], secure: SecureCodec, *, progress: Progress | None = None
) -> Calibration:
    """Draw the lines on `tune`, measure them on `test`: two or more photographs each, none in both.

    Raises `UsageError` for other photographs, and for a codec whose coded and uncoded blocks cannot be told apart.
    """
    if min(len(tune), len(test)) < 2 or {one.resolve() for one in tune} & {one.resolve() for one in test}:
        needed = "calibration needs two or more photographs to draw lines on, and two or more others to test"
        raise UsageError(f"{needed}; there are {len(tune)} and {len(test)}, and none may be in both")
    step = _Steps(2 * len(tune) + len(test), progress)
    windows = [w for n, one in enumerate(tune) for w in step(one, windows_of(n, one, secure, edits=False))]
    donors = [*tune[1:], tune[0]]
    splices = [s for n, one in enumerate(tune) for s in step(one, iter([splice_of(n, one, donors[n], secure)]))]
    thresholds, tried = draw_lines(windows, splices)
    tested = [w for n, one in enumerate(test) for w in step(one, windows_of(n, one, secure, edits=True))]
    _check_windows(tested)
    rates = {
        "window_px": WINDOW * BLOCK,
        "tuned_on": {"photographs": len(tune), "windows": len(windows), "splices": len(splices)},
        "mean_iou_by_reach": tried,
        "measured_on": {"photographs": len(test), "windows": len(tested)},
        **measure_rates(tested, thresholds),
    }
    return Calibration(
        codec=secure.label,
        quality=secure.quality,
        weights_sha256=weights_sha256(secure),
        thresholds=thresholds,
        rates=rates,
    )


def draw_lines(windows: Sequence[Window], splices: Sequence[Splice]) -> tuple[Thresholds, dict[str, float]]:
    """The thresholds, and the mean IoU of the splices for each reach tried. Raises `UsageError`."""
    _check_windows(windows)
    unedited = [w for w in windows if w.coded and w.kind in UNEDITED]
    uncoded = [w for w in windows if not w.coded]
    low, high = gap(*(np.concatenate([w.scores.ravel() for w in group]) for group in (uncoded, unedited)))
    first = Thresholds(
        survives_below=low + (high - low) / 3,
        destroyed_above=low + 2 * (high - low) / 3,
        least_share=1.0,
        least_region=LEAST_REGION,
        reach=0,
    )
    alarm = _quantile([s for s in (destroyed_share(w, first) for w in uncoded) if s is not None], 1 - FALSE_ALARMS)
    regions = [largest_region(classify(w.scores, w.uniform, first) == State.SURVIVES) for w in unedited]
    lines = replace(
        first,
        least_share=max(LEAST_SHARE, alarm + 1 / WINDOW**2),
        least_region=max(LEAST_REGION, int(_quantile(regions, 1 - FALSE_ALARMS)) + 1),
    )
    tried = {reach: _mean_iou(splices, replace(lines, reach=reach)) for reach in REACHES}
    best = max(tried, key=lambda reach: tried[reach])
    return replace(lines, reach=best), {str(reach): value for reach, value in tried.items()}


def _check_windows(windows: Sequence[Window]) -> None:
    if len({w.coded for w in windows}) < 2:
        side = WINDOW * BLOCK
        raise UsageError(f"the photographs hold no window of {side} x {side} pixels; use larger ones")


def gap(uncoded: Plane, coded: Plane) -> tuple[float, float]:
    """From where to where a line between the scores of uncoded and of coded blocks can lie.

    Anywhere in between, the share of uncoded blocks above the line and that of coded ones below it add up to the least
    there is, or to 0.001 more. Natural textures that the codec destroys thus move no line. Raises `UsageError` where
    the best line leaves more than a tenth on the wrong side, in the mean of the two.
    """
    lines = np.linspace(-7, 0, 701)
    ordered, other = np.sort(uncoded.ravel()), np.sort(coded.ravel())
    above = 1 - np.searchsorted(ordered, lines, side="right") / ordered.size
    wrong = above + np.searchsorted(other, lines, side="left") / other.size
    best = int(np.argmin(wrong))
    if wrong[best] > 2 * _MOST_WRONG:
        found = f"the best line leaves {wrong[best] / 2:.1%} of the blocks on the wrong side"
        raise UsageError(f"pictures of this codec do not destroy themselves, so nothing tells them apart: {found}")
    good = wrong <= wrong[best] + _SAME
    first = last = best
    while first > 0 and good[first - 1]:
        first -= 1
    while last + 1 < len(lines) and good[last + 1]:
        last += 1
    return float(lines[first]), float(lines[last])


def destroyed_share(window: Window, thresholds: Thresholds) -> float | None:
    """Destroyed blocks of those judged; none where too few are left to judge."""
    states = classify(window.scores, window.uniform, thresholds)
    judged = states.size - int((states == State.LEFT_OUT).sum())
    return int((states == State.DESTROYED).sum()) / judged if judged >= LEAST_BLOCKS else None


def measure_rates(windows: Sequence[Window], thresholds: Thresholds) -> dict[str, Any]:
    """Error rates, curves and what each kind of picture is taken for."""
    scored = [(w, s) for w in windows if (s := destroyed_share(w, thresholds)) is not None]
    negative = [(w, s) for w, s in scored if not w.coded]
    groups = {
        "unedited": [(w, s) for w, s in scored if w.coded and w.kind in UNEDITED],
        "paper's eight edits": [(w, s) for w, s in scored if w.coded and w.kind in PAPER],
        "further edits": [(w, s) for w, s in scored if w.coded and w.kind not in (*UNEDITED, *PAPER)],
        "all coded": [(w, s) for w, s in scored if w.coded],
    }
    return {
        "false_alarms": _answered(negative, thresholds, "carries", "partly"),
        "detection": {name: _answered(group, thresholds, "carries", "partly") for name, group in groups.items()},
        "taken_for_partly": {name: _answered(group, thresholds, "partly") for name, group in groups.items()},
        "auc": {name: _auc(group, negative) for name, group in groups.items()},
        "roc": {name: roc(_values(group), _values(negative)) for name, group in groups.items()},
        "kinds": [_kind(name, coded, scored, thresholds) for coded, name in _kinds(scored)],
        "block_scores": {
            "bins": [round(float(edge), 3) for edge in _BINS],
            "uncoded": _histogram(w for w in windows if not w.coded),
            "unedited": _histogram(w for w in windows if w.coded and w.kind in UNEDITED),
            "edited": _histogram(w for w in windows if w.coded and w.kind not in UNEDITED),
        },
    }


Scored = list[tuple[Window, float]]


def _answered(group: Scored, thresholds: Thresholds, *wanted: Answer) -> dict[str, Any]:
    """How many of a group get one of the answers."""
    answers = [answer(classify(w.scores, w.uniform, thresholds), thresholds) for w, _ in group]
    return share([one in wanted for one in answers], [w.photograph for w, _ in group])


def _auc(positive: Scored, negative: Scored) -> dict[str, Any]:
    sources = tuple(np.array([w.photograph for w, _ in group], np.int64) for group in (positive, negative))
    return auc(_values(positive), _values(negative), (sources[0], sources[1]))


def _values(group: Scored) -> Floats:
    return np.array([s for _, s in group], np.float64)


def _kinds(scored: Scored) -> list[tuple[bool, str]]:
    return list(dict.fromkeys((w.coded, w.kind) for w, _ in scored))


def _kind(name: str, coded: bool, scored: Scored, thresholds: Thresholds) -> dict[str, Any]:
    group = [(w, s) for w, s in scored if w.kind == name and w.coded == coded]
    answers = [answer(classify(w.scores, w.uniform, thresholds), thresholds) for w, _ in group]
    return {
        "kind": name,
        "coded": coded,
        "windows": len(group),
        "photographs": len({w.photograph for w, _ in group}),
        "mean_destroyed_share": float(_values(group).mean()),
        "answers": {one: answers.count(one) for one in ("carries", "partly", "absent", "undecided")},
    }


def _histogram(windows: Iterable[Window]) -> list[int]:
    counts = np.zeros(len(_BINS) - 1, np.int64)
    for window in windows:
        counts += np.histogram(np.clip(window.scores, _BINS[0], _BINS[-1]), _BINS)[0]
    return [int(count) for count in counts]


def _mean_iou(splices: Sequence[Splice], thresholds: Thresholds) -> float:
    values = [iou(mask_of(one.survival, thresholds), one.mask) for one in splices]
    return float(np.mean(values)) if values else 0.0


def _quantile(values: Sequence[float], level: float) -> float:
    return float(np.quantile(values, level, method="higher")) if values else 0.0


class _Steps:
    """Tells how far the work is."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def __call__(self, photograph: Path, items: Iterable[Any]) -> list[Any]:
        found = list(items)
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total, photograph.name)
        return found
