"""The verbs `verify`, `locate` and `calibrate` below `secure`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from miscomp.cli.batches import list_files, make_folder, plan_outputs, read_bounded
from miscomp.cli.codec_commands import ForceOption
from miscomp.cli.talk import JsonOption, MegapixelsOption, progress_bar, tell
from miscomp.errors import InputError, MiscompError, UsageError
from miscomp.report.wording import one_line

if TYPE_CHECKING:
    from miscomp.secure.calibration import Calibration
    from miscomp.secure.codec import SecureCodec
    from miscomp.secure.locate import Located
    from miscomp.secure.survival import Flags
    from miscomp.secure.verify import Verdict

FilesArgument = Annotated[
    list[Path], typer.Argument(metavar="FILE", help="Pictures, streams of slic, or folders of pictures.")
]
WeightsOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Weights of yours for slic's networks; default: the shipped ones.")
]
CalibrationOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="What `miscomp secure calibrate` wrote; default: that of the shipped weights."),
]


def verify(
    inputs: FilesArgument,
    weights: WeightsOption = None,
    calibration: CalibrationOption = None,
    max_megapixels: MegapixelsOption = 200.0,
    json_lines: JsonOption = False,
) -> None:
    """Tell whether pictures carry the perturbation of slic: whether compressing them again destroys them.

    No answer says that a picture is authentic: the codec is public and has no key, so anyone can encode a forgery.

    Example: miscomp secure verify photo.misc found.png
    """
    from miscomp.secure.verify import is_intact, verify_file

    secure, lines = _opened(weights, calibration)

    def work(path: Path) -> dict[str, Any]:
        content = read_bounded(path, max_megapixels)
        try:
            verdict = verify_file(content, path, secure, lines, max_megapixels=max_megapixels)
        except InputError as error:
            raise _NotJudged(error, is_intact(content, max_megapixels=max_megapixels)) from error
        _tell_verdict(path, verdict)
        return {"line": _verdict_line(verdict), **verdict.record(), **_made_with(secure, lines)}

    _each(list_files(inputs), work, json_lines=json_lines)


def locate(
    inputs: FilesArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder for masks and overlays, two PNG a picture.")
    ],
    truth: Annotated[
        Path | None, typer.Option(metavar="MASK", help="What is foreign in truth, white on black; for one picture.")
    ] = None,
    weights: WeightsOption = None,
    calibration: CalibrationOption = None,
    max_megapixels: MegapixelsOption = 200.0,
    force: ForceOption = False,
    json_lines: JsonOption = False,
) -> None:
    """Find where pictures of slic were replaced: the part that survives being compressed again.

    What survives need not be what was put in: the perturbation may be washed out of it, or coded content was put into
    an uncoded picture.

    Example: miscomp secure locate found.png -o found
    """
    from miscomp.images import write_png
    from miscomp.secure.locate import locate as find
    from miscomp.secure.locate import mask_pixels, overlay
    from miscomp.secure.verify import read_content

    files = list_files(inputs)
    masks, overlays = _two_each(files, output, truth, force=force)
    secure, lines = _opened(weights, calibration)

    def work(path: Path) -> dict[str, Any]:
        content = read_bounded(path, max_megapixels)
        pixels, notes, intact = read_content(content, path, secure, max_megapixels=max_megapixels)
        known = None if truth is None else _read_truth(truth, pixels.shape[:2])
        located = find(pixels, secure, lines)
        verdict = replace(located.verdict, notes=(*notes, *located.verdict.notes), intact=intact)
        make_folder(output)
        write_png(masks[path], mask_pixels(located.mask))
        write_png(overlays[path], overlay(pixels, located))
        record = _located_record(located, verdict, known)
        tell(f"{path} -> {masks[path]}, {overlays[path]}")
        _tell_verdict(path, verdict)
        return {**record, **_made_with(secure, lines), "mask": str(masks[path]), "overlay": str(overlays[path])}

    _each(files, work, json_lines=json_lines)


def calibrate(
    photographs: Annotated[list[Path], typer.Argument(metavar="PHOTOS", help="Uncoded photographs, or folders.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="JSON file to write.")],
    test: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PHOTOS",
            help="Others to measure error rates on, a photograph or folder; may be repeated. Default: every second one "
            "of PHOTOS.",
        ),
    ] = None,
    weights: WeightsOption = None,
    force: ForceOption = False,
) -> None:
    """Measure, for a set of weights, the thresholds of `verify` and `locate` and how often they are wrong.

    Every photograph is coded, edited in all ways that `secure evaluate` knows, and compressed again, some 30 times.

    Example: miscomp secure calibrate photographs --test others -o slic_calibration.json
    """
    from miscomp.images import list_images
    from miscomp.secure.calibrate import calibrate as measure
    from miscomp.secure.calibration import write_calibration
    from miscomp.secure.codec import open_secure

    if output.is_dir() or (output.exists() and not force):
        raise UsageError(f"{output} exists; choose another -o, or give --force to overwrite the file")
    files = [file for path in photographs for file in list_images(path)]
    others = [file for path in test for file in list_images(path)] if test else files[1::2]
    read = {path.resolve() for path in (*files, *others, *([weights] if weights else []))}
    if output.resolve() in read:
        raise UsageError(f"{output} is an input and would be overwritten; choose another -o")
    secure = open_secure(weights)
    with _counting() as progress:
        found = measure(files if test else files[::2], others, secure, progress=progress)
    make_folder(output.parent)
    write_calibration(output, found)
    alarms, hits, partly = (found.rates[name] for name in ("false_alarms", "detection", "taken_for_partly"))
    _tell_rate("uncoded, taken for coded", alarms)
    _tell_rate("coded, recognised", hits["all coded"])
    _tell_rate("coded throughout, taken for coded in part", partly["all coded"])
    typer.echo(one_line(str(output)))


def _tell_rate(name: str, rate: Mapping[str, Any]) -> None:
    windows = f"{rate['windows']} windows of {rate['photographs']} photographs"
    if rate["interval"] is None:
        tell(f"{name}: unknown, {windows}")
        return
    low, high = rate["interval"]
    tell(f"{name}: {rate['share']:.2%} [{low:.2%}, {high:.2%}] of {windows}")


_NOTHING = {
    "carries": "nothing in it survives",
    "partly": "nothing could be located",
    "absent": "nothing can be located: it does not carry the codec's perturbation",
    "undecided": "nothing can be located",
}


class _NotJudged(InputError):
    """A file without a verdict, and whether it is at least an intact stream."""

    def __init__(self, error: InputError, intact: bool | None) -> None:
        super().__init__(error.where, error.problem)
        self.intact = intact


def _opened(weights: Path | None, calibration: Path | None) -> tuple[SecureCodec, Calibration]:
    """The codec and its thresholds; tells where they do not belong together."""
    from miscomp.secure.calibration import read_calibration
    from miscomp.secure.codec import open_secure

    lines = read_calibration(calibration)
    secure = open_secure(weights)
    if problem := lines.problem(secure):
        tell(f"note: {problem}")
    return secure, lines


def _made_with(secure: SecureCodec, lines: Calibration) -> dict[str, Any]:
    """What another person needs to come to the same answer."""
    from miscomp.secure.calibration import weights_sha256

    return {"weights_sha256": weights_sha256(secure), "quality": secure.quality, "thresholds": asdict(lines.thresholds)}


def _each(files: list[Path], work: Callable[[Path], dict[str, Any]], *, json_lines: bool) -> None:
    """Print one line for each file; one that fails is told and the others go on. Leaves with 1 if any failed."""
    failed = 0
    for path in files:
        try:
            record = work(path)
            line = record.pop("line")
        except (MiscompError, OSError) as error:
            failed += 1
            message = str(error) if isinstance(error, InputError) else f"{path}: {error}"
            record, line = {"error": message}, "not judged"
            if isinstance(error, _NotJudged) and error.intact is not None:
                record["intact"] = error.intact
                line = "not judged; an intact stream" if error.intact else "not judged; a damaged stream"
            tell(f"failed: {message}")
        typer.echo(json.dumps({"input": str(path), **record}) if json_lines else one_line(f"{path}: {line}"))
    if failed:
        tell(f"{failed} of {len(files)} failed")
        raise typer.Exit(1)


def _verdict_line(verdict: Verdict) -> str:
    share = verdict.destroyed_share
    judged = "nothing to judge" if share is None else f"{share:.1%} of {verdict.blocks} blocks destroyed"
    stream = {True: "; an intact stream", None: ""}[verdict.intact or None]
    left = f"re-compression at {verdict.psnr_db:.2f} dB, local correlation {verdict.local_correlation:.2f}"
    return f"{verdict.answer}; {judged}; {left}{stream}"


def _tell_verdict(path: Path, verdict: Verdict) -> None:
    from miscomp.secure.verify import MEANINGS

    notes = "".join(f"; {note}" for note in verdict.notes)
    tell(f"{path}: {MEANINGS[verdict.answer]}{notes}")


def _two_each(
    files: list[Path], output: Path, truth: Path | None, *, force: bool
) -> tuple[dict[Path, Path], dict[Path, Path]]:
    """Where masks and overlays go. Raises `UsageError`."""
    if truth is not None and len(files) != 1:
        raise UsageError(f"--truth is the mask of one picture, and there are {len(files)}; give them one at a time")
    masks, overlays = (
        plan_outputs(files, str(output), suffix, to_folder=True, force=force, also_read=truth)
        for suffix in ("-mask.png", "-overlay.png")
    )
    return dict(masks), dict(overlays)


def _located_record(located: Located, verdict: Verdict, truth: Flags | None) -> dict[str, Any]:
    from miscomp.secure.locate import iou

    places = [place.record() for place in located.places]
    record: dict[str, Any] = {**verdict.record(), "places": places, "mask_share": float(located.mask.mean())}
    text = "; ".join(f"{p['w']} x {p['h']} at {p['x']}, {p['y']} ({p['share']:.1%})" for p in places)
    answer = verdict.answer
    line = f"{answer}; {text or _NOTHING[answer]}"
    if truth is not None:
        value = iou(located.mask, truth)
        record["iou"] = None if value != value else value
        line += f"; IoU {value:.3f}"
    return {"line": line, **record}


def _read_truth(path: Path, size: tuple[int, int]) -> Flags:
    import numpy as np

    from miscomp.errors import SizeMismatch
    from miscomp.images import read

    mask: Flags = np.asarray((read(path).pixels > 127).any(2))
    if mask.shape != size:
        found, wanted = (f"{shape[1]} x {shape[0]}" for shape in (mask.shape, size))
        raise SizeMismatch(path, f"has {found} pixels, the picture {wanted}; they must be equal, nothing is resized")
    return mask


@contextmanager
def _counting() -> Iterator[Callable[[int, int, str], None]]:
    """Progress on stderr."""
    with progress_bar(transient=True) as bar:
        shown = bar.add_task("", total=None)

        def update(done: int, total: int, name: str) -> None:
            from rich.text import Text

            bar.update(shown, total=total, completed=done, description=Text(one_line(name)).markup)

        yield update
