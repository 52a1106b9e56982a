"""One photograph: its scene, what codecs make of it, controls, known words, and the rows of all its pairs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import numpy as np

from miscomp.codecs.rate import encode
from miscomp.codecs.spec import CodecSpec, open_spec
from miscomp.detect.reader import TextReader
from miscomp.errors import InputError, MiscompError
from miscomp.images import Picture, Pixels, read
from miscomp.pairs import Pair, coded_pair, hash_file
from miscomp.pairset import CONTROL, NATURAL, PLANTED
from miscomp.plant import controls, natural, seams
from miscomp.plant.catalog import NATURAL as NATURAL_KIND
from miscomp.plant.catalog import SEAM
from miscomp.plant.edits import Edit
from miscomp.plant.request import PLATE, PictureTask, PlantPlan
from miscomp.plant.rows import PairRows, Rows
from miscomp.plant.scene import Ground, Planted, Scene, make_scene, number_for
from miscomp.plant.sheet import draw_plants
from miscomp.plant.store import PictureResult, PlantFolder, picture_key
from miscomp.records import Box
from miscomp.registry import load

_log = logging.getLogger(__name__)

RATE_SLACK = 0.1
"""Share by which a control's rate may fall below its target, and a natural pair's differ from it."""

_SCENE, _SEAMS, _CONTROLS, _NATURAL = range(4)
"""Streams of random numbers of one picture."""


def open_codecs(plan: PlantPlan) -> None:
    """Load what is costly once, before a process begins."""
    for spec in (*plan.specs, *plan.references.values(), *controls.control_specs(plan.specs)):
        open_spec(spec)


def plant_picture(plan: PlantPlan, task: PictureTask) -> PictureResult:
    """Make all pairs of one photograph, unless an earlier run did. Failures are in the result, never exceptions."""
    begin = time.perf_counter()
    try:
        image_sha1, _ = hash_file(task.path)
        folder, key = PlantFolder(plan.folder), picture_key(task.path.name, image_sha1, repr(task.plates))
        if kept := folder.load(key):
            return kept
        result = _Work(plan, task).run()
        if not result.failures:
            folder.save(key, result)
    except (MiscompError, MemoryError, OSError) as error:
        result = _failed(task, _explain(error, task))
    except Exception as error:  # one picture must not stop the others, whatever is wrong with it or with us
        _log.exception("%s", task.path.name)
        result = _failed(task, f"{type(error).__name__}: {error}; this is a fault in miscomp, please report it")
    return _timed(result, time.perf_counter() - begin)


class _Work:
    """A photograph at work."""

    def __init__(self, plan: PlantPlan, task: PictureTask) -> None:
        self.plan, self.task, self.options = plan, task, plan.options
        self.source = read(task.path, max_megapixels=plan.options.max_megapixels)
        self.rows = Rows(plan.folder, task.path.name)
        self.notes: list[str] = []
        self.failures: list[str] = []
        self.rates: dict[str, float] = {}

    def run(self) -> PictureResult:
        scene = self._plates() if self.task.plates else self._scene()
        original = self.rows.original(scene.original, self.task.filename)
        coded = self._planted(scene, original) if scene.plants else []
        if not scene.plants:
            self.notes.append("nothing could be planted")
        if self.options.controls:
            self._controls(original)
        if self.options.natural and not self.task.plates:
            self._natural()
        if scene.plants:
            self.rows.sheet(draw_plants(scene, coded), self.task.path.stem)
        rows = self.rows
        return PictureResult(
            name=self.task.path.name,
            images=tuple(rows.images),
            labels=tuple(rows.labels),
            negatives=tuple(rows.negatives),
            unreadable=tuple(rows.unreadable),
            plants=tuple(rows.plants),
            files=tuple(rows.files),
            missing=scene.missing,
            notes=tuple(self.notes),
            failures=tuple(self.failures),
        )

    def _rng(self, stream: int) -> np.random.Generator:
        """Random numbers that follow from the seed and the picture's content, not from its name or place."""
        words = np.frombuffer(bytes.fromhex(self.source.pixel_sha256), dtype="<u4").tolist()
        return np.random.default_rng([self.options.seed, stream, *words])

    def _scene(self) -> Scene:
        options, pixels = self.options, self.source.pixels
        return make_scene(
            pixels,
            rng=self._rng(_SCENE),
            count=number_for(options.count, pixels),
            kinds=options.kinds,
            strengths=options.strengths,
            negatives=number_for(options.negatives, pixels),
        )

    def _plates(self) -> Scene:
        """Change one character on each plate."""
        rng, ground, missing = self._rng(_SCENE), Ground(self.source.pixels), []
        swap: Callable[..., Edit | None] = load(PLATE.target)
        for box, text in self.task.plates:
            strength, seed = float(rng.choice(self.options.strengths)), int(rng.integers(2**31))
            edit = swap(ground.pixels, box, text, strength, np.random.default_rng(seed))
            if not ground.accept(PLATE, strength, seed, edit):
                missing.append(PLATE.name)
        return ground.scene(missing)

    def _planted(self, scene: Scene, original: Picture) -> list[tuple[str, Pixels]]:
        """Code the changed picture with every codec; returns what came of it, by model."""
        changed = self.rows.beside(original, scene.changed)
        coded: list[tuple[str, Pixels]] = []
        # The rates that others follow come first.
        for spec in sorted(self.plan.specs, key=lambda spec: spec.like is not None):
            for pair in self._coded(changed, spec):
                self.rates[str(spec)] = pair.bpp or 0.0
                pixels, places = self._seams(scene, changed, pair, spec)
                with self.rows.pair(original, pixels, model=str(spec), source=PLANTED, bpp=pair.bpp) as rows:
                    for plant in scene.plants:
                        _add(rows, plant)
                    for box in places:
                        rows.negative(box, kind=SEAM, strength=seams.STRENGTH, seed=self.options.seed)
                coded.append((str(spec), pixels))
        return coded

    def _seams(self, scene: Scene, changed: Picture, pair: Pair, spec: CodecSpec) -> tuple[Pixels, tuple[Box, ...]]:
        count = number_for(self.options.negatives, changed.pixels)
        if not count or pair.bpp is None or pair.bpp < seams.MIN_BPP or not spec.any_rate:
            return pair.reconstruction, ()
        low = coded_pair(changed, CodecSpec(spec.name, bpp=round(pair.bpp * seams.LOW_SHARE, 4))).reconstruction
        spliced = seams.splice(
            pair.reconstruction, low, scene.original, rng=self._rng(_SEAMS), free=scene.free, count=count
        )
        return spliced.pixels, spliced.boxes

    def _coded(self, picture: Picture, spec: CodecSpec, prefix: str = "") -> Iterator[Pair]:
        """The pair; nothing, and a failure, where the codec cannot."""
        try:
            reference = self.plan.references.get(str(spec)) if not prefix else None
            like = None
            if reference is not None:
                like = self.rates.get(str(reference)) or encode(reference, picture.pixels).bpp
            yield coded_pair(picture, spec, like_bpp=like)
        except (MiscompError, MemoryError) as error:
            self.failures.append(f"{prefix}{spec}: {_explain(error, self.task)}")

    def _controls(self, original: Picture) -> None:
        rng = self._rng(_CONTROLS)
        for row in controls.CONTROLS.values():
            model = f"{controls.PREFIX}{row.name}"
            with self.rows.pair(original, row.make(original.pixels, rng), model=model, source=CONTROL):
                pass
        for spec in controls.control_specs(self.plan.specs):
            for pair in self._coded(original, spec, controls.PREFIX):
                model = f"{controls.PREFIX}{spec}"
                if pair.bpp is None or spec.bpp is None or pair.bpp < spec.bpp * (1 - RATE_SLACK):
                    self._left_out(model, pair)
                    continue
                with self.rows.pair(original, pair.reconstruction, model=model, source=CONTROL, bpp=pair.bpp):
                    pass

    def _left_out(self, model: str, pair: Pair) -> None:
        self.notes.append(f"{model} left out: {'; '.join(pair.warnings)}")

    def _natural(self) -> None:
        count = number_for(self.options.natural, self.source.pixels)
        put = load(self.options.put_word)
        pixels, known = natural.put_words(self.source.pixels, rng=self._rng(_NATURAL), count=count, put=put)
        reader = _reader(self.options.reader)
        words = [word for word in known if natural.readable(word, pixels, reader)]
        if len(words) < count:
            self.notes.append(
                f"{count} known words wanted: {len(known)} found a place, {len(words)} are read rightly in the original"
            )
        if not words:
            return
        original = self.rows.original(pixels, self.task.words_filename)
        for spec in natural.natural_specs(self.plan.specs):
            for pair in self._coded(original, spec, natural.PREFIX):
                model = f"{natural.PREFIX}{spec}"
                if pair.bpp is None or spec.bpp is None or abs(pair.bpp / spec.bpp - 1) > RATE_SLACK:
                    self._left_out(model, pair)
                else:
                    self._judged(original, pair, words, model)

    def _judged(self, original: Picture, pair: Pair, words: list[natural.KnownWord], model: str) -> None:
        reader = _reader(self.options.reader)
        pixels = pair.reconstruction
        with self.rows.pair(original, pixels, model=model, source=NATURAL, bpp=pair.bpp) as rows:
            for word in words:
                verdict = natural.judge(word, pixels, reader)
                note = f'"{word.text}", {word.height} pixels high, read as "{verdict.reading}" ({verdict.confidence:g})'
                rows.known(word.box, verdict.outcome, kind=NATURAL_KIND, seed=word.seed, note=note)


def _add(rows: PairRows, plant: Planted) -> None:
    row, note = plant.row, plant.edit.note
    if row.label:
        rows.label(
            plant.box,
            kind=row.name,
            strength=plant.strength,
            seed=plant.seed,
            category=row.category,
            symbol=row.symbol,
            note=note,
        )
    else:
        rows.negative(plant.box, kind=row.name, strength=plant.strength, seed=plant.seed, note=note)


@cache
def _reader(target: str) -> TextReader:
    """One reader for each process; its readings do not depend on its threads."""
    reader: TextReader = load(target)(threads=1)
    return reader


def _failed(task: PictureTask, reason: str) -> PictureResult:
    return PictureResult(name=task.path.name, failures=(reason,))


def _explain(error: BaseException, task: PictureTask) -> str:
    if isinstance(error, InputError) and error.where == str(task.path):
        return error.problem
    if isinstance(error, MemoryError):
        return "needs more memory than there is; use fewer --jobs or a smaller picture"
    return str(error)


def _timed(result: PictureResult, seconds: float) -> PictureResult:
    return replace(result, seconds=seconds)
