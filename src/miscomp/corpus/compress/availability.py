"""What a corpus' models mean exactly, and which of them can be run here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

from miscomp.codecs.catalog import CODECS
from miscomp.codecs.request import model_row, resolve_references
from miscomp.codecs.spec import CodecSpec, open_spec, parse_spec
from miscomp.corpus.config import CONFIG, Config, Model
from miscomp.corpus.entries import ModelEntry
from miscomp.errors import MiscompError, UsageError
from miscomp.records import ModelRow
from miscomp.workers import run_in_processes


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A model that cannot be run here, and what to do about it."""

    model: str
    spec: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Available:
    """What can be run here, and what not."""

    entries: tuple[ModelEntry, ...]
    missing: tuple[Missing, ...]


def resolved_specs(config: Config) -> dict[str, str]:
    """By model the codec and setting that is meant: `like:` with a setting, and with a seed what decodes at random.

    Independent of which of the models are run. Raises `UsageError` where `like:` may mean several.
    """
    specs = {one.model: parse_spec(one.spec) for one in config.models}
    references = resolve_references(tuple(dict.fromkeys(specs.values())))
    return {name: str(_resolved(spec, references, config.seed)) for name, spec in specs.items()}


def _resolved(spec: CodecSpec, references: Mapping[str, CodecSpec], seed: int) -> CodecSpec:
    if spec.like is not None:
        spec = replace(spec, like=str(references[str(spec)]))
    if CODECS[spec.name].seeded and spec.seed is None:
        spec = replace(spec, seed=seed)
    return spec


def find_available(models: Sequence[Model], specs: Mapping[str, str]) -> Available:
    """Open each codec once, to see that its weights, program and libraries are here."""
    found = _look({specs[one.model] for one in models})
    entries, missing = [], []
    for one in models:
        spec = specs[one.model]
        answer = found[spec]
        if isinstance(answer, str):
            missing.append(Missing(model=one.model, spec=spec, reason=answer))
        else:
            entries.append(_entry(one, spec, answer))
    return Available(entries=tuple(entries), missing=tuple(missing))


def _look(specs: set[str]) -> dict[str, ModelRow | str]:
    found = {spec: identify(spec) for spec in sorted(specs) if not _has_networks(spec)}
    networks = deque(sorted(specs - set(found)))
    # In a process of its own, which gives back the memory that the weights of all models take.
    with closing(run_in_processes(_identifying, None, networks, 1)) as messages:
        for message in messages:
            found[message.task] = message.died or message.value
    return found


def _has_networks(spec: str) -> bool:
    parsed = parse_spec(spec)
    rows = [CODECS[parsed.name], *([CODECS[parse_spec(parsed.like).name]] if parsed.like else [])]
    return any(row.architecture or row.weights for row in rows)


@contextmanager
def _identifying(_: None) -> Iterator[Callable[[str], Sequence[ModelRow | str]]]:
    yield lambda spec: [identify(spec)]


def identify(text: str) -> ModelRow | str:
    """What a codec is here, with the version and weights that it has; or why it cannot be run."""
    try:
        spec = parse_spec(text)
        for one in (spec, *([parse_spec(spec.like)] if spec.like else [])):
            open_spec(one)
        return model_row(spec)
    except (MiscompError, OSError, MemoryError, ImportError) as error:
        return str(error) or type(error).__name__


def _entry(model: Model, spec: str, row: ModelRow) -> ModelEntry:
    return ModelEntry(
        model=model.model,
        codec=model.codec,
        spec=spec,
        codec_name=row.codec,
        setting=row.setting,
        target_bpp=model.target_bpp if model.target_bpp is not None else row.target_bpp,
        weights_sha256=row.weights_sha256,
        seed=row.seed,
        version=row.version,
        stand_in=model.stand_in,
    )


def reconcile(recorded: Mapping[str, ModelEntry], now: Sequence[ModelEntry]) -> tuple[list[ModelEntry], list[str]]:
    """Rows to store, and what differs without harm. Raises `UsageError` where a name would mean two things.

    The first version stays in the row of the model; each reconstruction has its own.
    """
    rows, warnings, changed = [], [], []
    for entry in now:
        before = recorded.get(entry.model)
        if before is None:
            rows.append(entry)
            continue
        if not before.spec:
            changed.append(f"{entry.model} is {entry.spec} now, and its results here were imported, made by others")
            continue
        for name, what in (("spec", "is"), ("weights_sha256", "has the weights"), ("seed", "has the seed")):
            if (old := getattr(before, name)) != (new := getattr(entry, name)):
                changed.append(f"{entry.model} {what} {new or 'none'} now, and was {old or 'none'}")
        if before.version != entry.version:
            warnings.append(f"{entry.model}: {entry.version} here; its first results were made by {before.version}")
        kept = replace(entry, version=before.version)
        if kept != before:
            rows.append(kept)
    if changed:
        raise UsageError(
            f"one name must mean one thing in a corpus: {'; '.join(changed)}. Put {CONFIG} or the weights back, or "
            "give the changed model another name"
        )
    return rows, warnings
