"""What the studies of SLIC's training share: runs at equal steps, real re-compressions of test pictures, and tables.

A study is a folder: `runs/NAME` is a training run of its own, which goes on where it was cut off and is not trained
again once it has its weights; the tables beside it are written anew after each run.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field, fields
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar

from miscomp.codecs.catalog import CODECS
from miscomp.errors import UsageError
from miscomp.folders import ResultsFolder, replacing, write_text
from miscomp.images import Picture, Pixels, read
from miscomp.secure.codec import DEFAULT, SecureCodec, open_secure
from miscomp.secure.config import SecureConfig
from miscomp.secure.measure import measure
from miscomp.secure.train import WEIGHTS, train_secure
from miscomp.training.runfolder import Surroundings
from miscomp.training.validation import spread

BASE = "lucid"
UNTOUCHED = f"{BASE}, untouched"
NO_EDIT = "no edit"
_ABOUT = "about.txt"
_NOT_TOLD = frozenset(("jpeg_weights", "valid_pictures", "validate_every", "survive", "survive_db"))
"""Settings that name a place on this machine, or do nothing here: no validation, no spliced content."""

Edit = Callable[[Pixels], Pixels]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One picture after one edit, p, beside p2, what its re-compression made of it; see `secure.measure`."""

    run: str
    image: str
    edit: str
    bpp: float
    """Real rate of the first compression, before the edit."""
    first_psnr_db: float
    """Of x1 against the original x."""
    psnr_db: float
    normalised_psnr_db: float
    fitted_psnr_db: float
    flat_psnr_db: float
    local_correlation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Runs to compare, and what to do to their pictures."""

    title: str
    settings: Mapping[str, Mapping[str, Any]]
    """For each run the settings of training that are its own."""
    not_run: Mapping[str, str]
    """Runs that are left out, and why."""
    edits: Mapping[str, Edit]
    """By their titles."""
    published: Mapping[str, Sequence[str]]
    """The paper's values for a run, in the order of `published_columns`."""
    published_columns: Sequence[str]
    published_note: str
    about: Mapping[str, str] = field(default_factory=dict)
    """What single runs depend on beside their settings."""


class _Folder(ResultsFolder):
    kind: ClassVar[str] = "study"


def parser_of(description: str | None, *, steps: int) -> argparse.ArgumentParser:
    """The options that all these studies have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path, help="folder to train on")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the study")
    parser.add_argument("--force", action="store_true", help="replace tables made of other pictures")
    parser.add_argument("--pictures", type=Path, nargs="+", help="to measure on; default: kodak in $MISCOMP_DATA")
    parser.add_argument("--most", type=int, default=8, help="pictures of these, spread (default: 8)")
    level = CODECS[DEFAULT].qualities.default
    parser.add_argument("--quality", type=float, default=level, help=f"of the measured codecs (default: {level:g})")
    for name, default in (("steps", steps), ("batch-size", 2), ("crop", 256), ("seed", 0), ("fit-batches", 50)):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"of every training (default: {default})")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of the trainings (default: cpu)")
    return parser


def config_of(options: argparse.Namespace, own: Mapping[str, Any]) -> SecureConfig:
    """Settings of one run; a short one needs a short warm-up."""
    shared = {name: getattr(options, name) for name in ("steps", "batch_size", "crop", "seed", "fit_batches", "device")}
    steps: int = options.steps
    pace: dict[str, Any] = {"warmup": min(100, steps // 5), "log_every": max(steps // 50, 1), "save_every": 100}
    return SecureConfig(base=BASE, **shared, **pace, **own)


def run_study(study: Study, options: argparse.Namespace, files: Sequence[Path]) -> dict[str, Path]:
    """Train every run, measure it on spread `files`, write the tables; returns the runs' folders by their names.

    `recompressions.csv` and `tables.md` are whole after each run, of the runs so far. Progress goes to stderr, the
    tables to stdout. Raises `UsageError` for a folder of other pictures, or runs in it of other settings or other
    photographs than now.
    """
    if not study.settings:
        raise UsageError(f"nothing can be run: {_left_out(study)}")
    if options.most < 1:
        raise UsageError(f"--most needs 1 or more pictures, got {options.most}")
    pictures = spread([read(file) for file in files], options.most)
    folder = _Folder(options.output)
    hashes = [picture.pixel_sha256 for picture in pictures]
    measured = {"study": study.title, "quality": options.quality, "pictures": hashes}
    runs: dict[str, Path] = {}
    with folder.owned():
        if not options.force:
            folder.check_settings(measured)
        folder.write_settings(measured)
        rows = recompressed(UNTOUCHED, open_secure(codec=f"{BASE}@q{options.quality:g}"), pictures, study.edits)
        for name, own in study.settings.items():
            runs[name] = options.output / "runs" / name
            about = study.about.get(name, "")
            weights = trained(runs[name], config_of(options, own), options.photographs, about=about)
            rows += recompressed(name, open_secure(weights, quality=options.quality), pictures, study.edits)
            _write_csv(options.output / "recompressions.csv", rows)
            write_text(options.output / "tables.md", tables(study, rows, runs, options))
    print((options.output / "tables.md").read_text(encoding="utf-8"), end="")
    return runs


def trained(folder: Path, config: SecureConfig, photographs: Path, *, about: str = "") -> Path:
    """Train in a folder, unless it holds the weights of such a training; `about` is what the settings do not say."""
    weights, begun = folder / WEIGHTS, time.monotonic()
    if folder.exists() and about != _about(folder):
        raise UsageError(f"{folder} was begun with {_about(folder)!r}, now {about!r}; choose another folder with -o")
    if weights.exists():
        saved, asked = _config(folder)["settings"], json.loads(json.dumps(asdict(config)))
        if saved != asked:
            names = sorted(name for name in {*saved, *asked} if saved.get(name) != asked.get(name))
            raise UsageError(f"{folder} was trained with another {', '.join(names)}; choose another folder with -o")
        _talk(f"{folder.name}: trained already")
        return weights
    if about:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / _ABOUT, about)
    around = Surroundings(talk=lambda line: _talk(f"{folder.name}: {line}"))
    train_secure(photographs, folder, config, around=around)
    _talk(f"{folder.name}: trained in {time.monotonic() - begun:.0f} s")
    return weights


def recompressed(run: str, codec: SecureCodec, pictures: Sequence[Picture], edits: Mapping[str, Edit]) -> list[Row]:
    """What a codec makes of its own pictures, as they are and edited, by real streams."""
    rows, begun = [], time.monotonic()
    for picture in pictures:
        x = picture.pixels
        content = codec.compress(x)
        x1 = codec.decompress(content)
        first = measure(x, x1).psnr_db
        for edit, p in {NO_EDIT: x1, **{title: change(x1) for title, change in edits.items()}}.items():
            left = asdict(measure(p, codec.again(p)))
            figures = {name: left[name] for name in _names() if name in left}
            bpp = 24 * len(content) / x.size
            rows.append(Row(run=run, image=picture.path.name, edit=edit, bpp=bpp, first_psnr_db=first, **figures))
    _talk(f"{run}: measured in {time.monotonic() - begun:.0f} s")
    return rows


def tables(study: Study, rows: Sequence[Row], runs: Mapping[str, Path], options: argparse.Namespace) -> str:
    """Markdown: means over the pictures, the paper's values beside ours, and where all of it comes from."""
    names = [UNTOUCHED, *runs]
    edits = list(dict.fromkeys(row.edit for row in rows))
    images = len({row.image for row in rows})
    parts = [
        f"# {study.title}",
        f"Means over the test pictures ({images}) at quality {options.quality:g}, 8-bit pictures and real streams; "
        "PSNR in dB, after an edit of the edited x1 against its own re-compression. In brackets: the paper.",
        _psnr_table(study, rows, names, edits),
        study.published_note,
        "What is left of the structure: PSNR after both pictures were stretched to 0 to 255, PSNR after the best "
        "colour fit, how far that lies above a picture of one colour, and mean absolute local correlation.",
        _structure_table(rows, names, edits),
        _provenance(study, runs),
    ]
    return "\n\n".join(parts) + "\n"


def _psnr_table(study: Study, rows: Sequence[Row], names: Sequence[str], edits: Sequence[str]) -> str:
    after = ["(x1, x2)", *edits[1:], *(f"[{column}]" for column in study.published_columns)]
    lines = [["run", "bpp", "(x, x1)", *after]]
    for name in names:
        mine = [row for row in rows if row.run == name]
        first = [f"{fmean(row.bpp for row in mine):.3f}", f"{fmean(row.first_psnr_db for row in mine):.2f}"]
        again = [f"{fmean(row.psnr_db for row in mine if row.edit == edit):.2f}" for edit in edits]
        lines.append([name, *first, *again, *study.published.get(name, ["-"] * len(study.published_columns))])
    dashes = ["-"] * (len(lines[0]) - 1 - len(study.published_columns))
    lines += [[name, *dashes, *values] for name, values in study.published.items() if name not in names]
    return _markdown(lines, texts=1)


def _structure_table(rows: Sequence[Row], names: Sequence[str], edits: Sequence[str]) -> str:
    lines = [["run", "edit", "stretched", "fitted", "fitted - flat", "correlation"]]
    for name in names:
        for edit in edits:
            mine = [row for row in rows if row.run == name and row.edit == edit]
            stretched = fmean(row.normalised_psnr_db for row in mine)
            fitted = fmean(row.fitted_psnr_db for row in mine)
            over = fmean(row.fitted_psnr_db - row.flat_psnr_db for row in mine)
            correlation = fmean(row.local_correlation for row in mine)
            lines.append([name, edit, f"{stretched:.2f}", f"{fitted:.2f}", f"{over:.2f}", f"{correlation:.3f}"])
    return _markdown(lines, texts=2)


def _markdown(lines: Sequence[Sequence[str]], *, texts: int) -> str:
    head, *body = lines
    rule = [*["---"] * texts, *["---:"] * (len(head) - texts)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *body))


def _provenance(study: Study, runs: Mapping[str, Path]) -> str:
    """Settings that the runs share, their photographs, and the hash of each one's weights."""
    configs = {name: _config(folder) for name, folder in runs.items()}
    data = {config["training_data"]["sha256"]: config["training_data"]["pictures"] for config in configs.values()}
    if len(data) > 1:
        raise UsageError("the runs of this folder were trained on different photographs; choose another folder with -o")
    every = [settings["settings"] for settings in configs.values()]
    own = {name for settings in study.settings.values() for name in settings if len({str(s[name]) for s in every}) > 1}
    hidden = own | _NOT_TOLD
    shared = {name: value for name, value in every[0].items() if name not in hidden and value not in ("", [])}
    lines = ["Settings of all runs: " + ", ".join(f"{name} {value}" for name, value in shared.items()) + "."]
    lines += [f"Trained on {count} pictures, SHA-256 {sha256}." for sha256, count in data.items()]
    for name, folder in runs.items():
        given = ", ".join(f"{k} {v}" for k, v in study.settings[name].items() if k in own - _NOT_TOLD)
        digest = f"weights SHA-256 {hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()}"
        lines.append(f"- {name}: {'; '.join(part for part in (given, study.about.get(name, ''), digest) if part)}")
    return "\n".join([*lines, *([f"\nNot run: {_left_out(study)}."] if study.not_run else [])])


def _left_out(study: Study) -> str:
    return "; ".join(f"{name} ({why})" for name, why in study.not_run.items())


def _about(folder: Path) -> str:
    return (folder / _ABOUT).read_text(encoding="utf-8") if (folder / _ABOUT).exists() else ""


def _config(folder: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder} holds weights and no settings of their training; move it away") from error
    return content


def _names() -> list[str]:
    return [one.name for one in fields(Row)]


def _write_csv(path: Path, rows: Sequence[Row]) -> None:
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_names())
        writer.writerows(astuple(row) for row in rows)


def _talk(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
