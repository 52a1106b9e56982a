"""Who runs the workers of a corpus: a row for each engine, imported on first use."""

from __future__ import annotations

from dataclasses import dataclass

from miscomp.corpus.compress.tasks import Engine
from miscomp.registry import Registry, load


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What an engine is started with; what it has no use for it leaves."""

    jobs: int | None = None
    """Workers; none: as many as the engine finds reasonable."""
    address: str = ""
    """Of a cluster; empty: one on this machine."""
    gpus_per_worker: float = 0.0
    """Share of a GPU that each worker is given; 0: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRow:
    """An engine by name."""

    name: str
    target: str
    """`module:Class`; called with `EngineOptions`, it is an `Engine`."""
    about: str


ENGINES: Registry[EngineRow] = Registry(
    "engine",
    [
        EngineRow(
            name="local",
            target="miscomp.corpus.compress.local_engine:LocalEngine",
            about="processes on this machine",
        ),
        EngineRow(
            name="ray",
            target="miscomp.corpus.compress.ray_engine:RayEngine",
            about="a Ray cluster: many machines and GPUs (extra `ray`)",
        ),
    ],
)


def open_engine(name: str, options: EngineOptions) -> Engine:
    """Raises `UnknownName`, and `MissingExtra` where an engine's library is not installed."""
    engine: Engine = load(ENGINES[name].target)(options)
    return engine
