"""Does the risk figure fall with rising rate? Prints the figures of the docs from an audit at several rates.

First `miscomp audit PHOTOGRAPHS --codec lucid@0.08bpp ... --codec jpeg@2.4bpp -o AUDIT`, then
`python studies/disclose_risk.py AUDIT`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from miscomp.disclose.risk import risk
from miscomp.disclose.statement import Place
from miscomp.records import PairResult
from miscomp.report.run import read_json

RESAMPLES, SEED = 10_000, 0


def figure(result: PairResult) -> float:
    """The risk figure of one pair."""
    found = [one.annotation for one in result.findings]
    places = [Place(x=a.x, y=a.y, w=a.w, h=a.h, symbol=a.symbol, score=a.score) for a in found]
    return risk(places, width=result.row.width, height=result.row.height)


def main(folder: Path) -> None:
    """Print means, intervals and rank correlations by codec."""
    run = read_json(folder / "report.json")
    models = list(dict.fromkeys(result.row.model for result in run.results))
    names = sorted({result.row.filename for result in run.results})
    by_pair = {(result.row.model, result.row.filename): result for result in run.results}
    drawn = np.random.default_rng(SEED).integers(0, len(names), (RESAMPLES, len(names)))
    for codec in dict.fromkeys(model.partition("@")[0] for model in models):
        own = [model for model in models if model.partition("@")[0] == codec]
        risks = np.array([[figure(by_pair[model, name]) for name in names] for model in own])
        rates = np.array([[by_pair[model, name].row.bpp or np.nan for name in names] for model in own])
        counts = np.array([[len(by_pair[model, name].findings) for name in names] for model in own])
        for model, row, rate, count in zip(own, risks, rates, counts, strict=True):
            low, high = np.quantile(row[drawn].mean(axis=1), (0.025, 0.975))
            print(
                f"{model}: {rate.mean():.2f} bpp, risk {row.mean():.3f} ({low:.3f} to {high:.3f}), "
                f"highest {row.max():.2f}, {count.mean():.2f} findings, none in {np.mean(count == 0):.0%}"
            )
        varying = [i for i in range(len(names)) if np.ptp(risks[:, i]) > 0]
        within = np.full(len(names), np.nan)
        within[varying] = [spearmanr(rates[:, i], risks[:, i]).statistic for i in varying]
        pooled = [spearmanr(rates[:, i].ravel(), risks[:, i].ravel()).statistic for i in drawn[:1000]]
        low, high = np.quantile(np.nanmean(within[drawn], axis=1), (0.025, 0.975))
        print(
            f"{codec}, Spearman: all pairs {spearmanr(rates.ravel(), risks.ravel()).statistic:.2f} "
            f"({np.quantile(pooled, 0.025):.2f} to {np.quantile(pooled, 0.975):.2f}); within a photograph "
            f"{np.nanmean(within):.2f} ({low:.2f} to {high:.2f}) over {len(varying)}"
        )
        print(f"{codec}, rises from step to step in {np.mean(np.diff(risks, axis=0) > 0, axis=1).round(2).tolist()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
