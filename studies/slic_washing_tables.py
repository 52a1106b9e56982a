"""What `slic_washing.py` measures, and its tables: which attack washes a picture, and at what cost of quality."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from slic_washing_plot import Panel

from miscomp.secure.washing import WASHES

GONE_SHARE, GONE_DB = 0.5, 20.0
GONE_THROUGHOUT = 0.05
NOT_WASHED = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One picture after one attack; PSNR in dB of 8-bit RGB."""

    image: str
    wash: str
    """`none` for x1 itself."""
    strength: float
    width: int
    height: int
    kept_psnr: float
    """Against x1."""
    kept_ssim: float
    original_psnr: float
    """Against x."""
    original_psnr_before: float
    """Of x1 against x."""
    again_psnr: float
    """Of the re-compression against the washed picture."""
    again_correlation: float
    """Mean absolute local correlation of the two."""
    destroyed: float
    """Share of the blocks, 0 to 1."""

    @property
    def gone(self) -> bool:
        """Whether half of the protection is gone."""
        return self.destroyed < GONE_SHARE or self.again_psnr > GONE_DB

    @property
    def gone_throughout(self) -> bool:
        """Whether next to nothing is left of it."""
        return self.destroyed <= GONE_THROUGHOUT


def best(rows: Iterable[Row], name: str, gone: Callable[[Row], bool]) -> list[Row]:
    """Of each picture that an attack washes, the row of best quality; `gone` says when it does."""
    found: dict[str, Row] = {}
    for row in rows:
        if row.wash == name and gone(row):
            known_best = found.get(row.image)
            if known_best is None or row.kept_psnr > known_best.kept_psnr:
                found[row.image] = row
    return list(found.values())


def ranked(rows: Sequence[Row], names: Iterable[str]) -> dict[str, list[Row]]:
    """For each attack the best rows at which protection is gone: the cheapest attack first."""
    found = {name: best(rows, name, lambda row: row.gone) for name in names}

    def rank(name: str) -> tuple[int, float]:
        return -len(found[name]), -fmean([row.kept_psnr for row in found[name]] or [0.0])

    return {name: found[name] for name in sorted(found, key=rank)}


def summary(rows: Sequence[Row], names: Iterable[str]) -> str:
    """Markdown: what each attack costs where it succeeds, the cheapest first."""
    lines = [
        "| attack | gone in | best PSNR(x1, washed) | SSIM | PSNR to x, change | most often at | gone throughout in "
        "| best PSNR(x1, washed) |",
        "|---|---:|---:|---:|---:|---|---:|---:|",
    ]
    total = pictures(rows)
    for name, half in ranked(rows, names).items():
        throughout = best(rows, name, lambda row: row.gone_throughout)
        cells = [WASHES[name].title, f"{len(half)} of {total}", *_costs(name, half)]
        cells += [f"{len(throughout)} of {total}", _mean([row.kept_psnr for row in throughout])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def pictures(rows: Iterable[Row]) -> int:
    """How many were measured."""
    return len({row.image for row in rows})


def _costs(name: str, rows: Sequence[Row]) -> list[str]:
    if not rows:
        return ["-"] * 4
    strength = Counter(row.strength for row in rows).most_common(1)[0][0]
    return [
        _mean([row.kept_psnr for row in rows]),
        _mean([row.kept_ssim for row in rows], "{:.4f}"),
        _mean([row.original_psnr - row.original_psnr_before for row in rows], "{:+.2f}"),
        f"{strength:g} ({WASHES[name].unit})",
    ]


def _mean(values: Sequence[float], form: str = "{:.1f}") -> str:
    return form.format(fmean(values)) if values else "-"


def details(rows: Sequence[Row], names: Iterable[str]) -> str:
    """Markdown: means over the pictures for every attack and strength."""
    lines = [
        "| attack | strength | PSNR(x1, washed) | SSIM | PSNR(x, washed) | re-compression PSNR | local correlation "
        "| blocks destroyed |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    groups: dict[tuple[str, float], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.wash, row.strength), []).append(row)
    for name in (NOT_WASHED, *names):
        for (wash_name, strength), some in groups.items():
            if wash_name == name:
                title = "Nothing: x1 itself" if name == NOT_WASHED else WASHES[name].title
                cells = [
                    title,
                    f"{strength:g}",
                    _mean([row.kept_psnr for row in some]),
                    _mean([row.kept_ssim for row in some], "{:.4f}"),
                    _mean([row.original_psnr for row in some], "{:.2f}"),
                    _mean([row.again_psnr for row in some]),
                    _mean([row.again_correlation for row in some], "{:.2f}"),
                    _mean([100 * row.destroyed for row in some], "{:.0f} %"),
                ]
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def panels(rows: Sequence[Row], names: Iterable[str]) -> list[Panel]:
    """What the plot shows, the cheapest attack first."""
    shown = []
    for name, half in ranked(rows, names).items():
        groups: dict[float, list[Row]] = {}
        for row in rows:
            if row.wash == name:
                groups.setdefault(row.strength, []).append(row)
        means = [
            (fmean([r.kept_psnr for r in some]), 100 * fmean([r.destroyed for r in some])) for some in groups.values()
        ]
        shown.append(
            Panel(
                title=WASHES[name].title,
                informed=WASHES[name].informed,
                curve=means,
                cost=f"{_mean([row.kept_psnr for row in half])} dB" if half else "holds",
                successes=f"gone in {len(half)} of {pictures(rows)}",
            )
        )
    return shown
