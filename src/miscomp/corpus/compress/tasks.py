"""The work of compressing a corpus, as it passes between the driver, its engine and the workers.

A task is one picture and one model, independent of all others. Workers never open the database: each result becomes a
folder in `incoming/`, complete as soon as it has its name, and the driver takes it in from there.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One picture and one model."""

    image_sha1: str
    model: str
    spec: str
    source: Path
    """The photograph in the corpus, a PNG."""

    @property
    def key(self) -> str:
        """Name of the result's folder in `incoming/`."""
        return f"{self.model}-{self.image_sha1}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is the same for all tasks; it travels to other processes and machines."""

    specs: tuple[str, ...]
    """Every codec that tasks name, to be opened once."""
    seed: int
    max_megapixels: float
    worker: str = "miscomp.corpus.compress.coding:Coder"
    """`module:Class`; called with the setup, it offers `code(task, content) -> Coded`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The numbers of a result; see `miscomp.corpus.entries.Reconstruction` for what they mean."""

    width: int
    height: int
    pixel_sha256: str
    quality: float | None
    psnr: float
    ssim: float | None
    ms_ssim: float | None
    encode_s: float
    decode_s: float
    version: str
    weights_sha256: str
    environment: str
    """JSON: where it was made, see `miscomp.corpus.compress.coding.describe_environment`."""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """A result: the compressed file, what was decoded from it, and their numbers."""

    stream: bytes
    suffix: str
    """Of the compressed file, `.misc`."""
    png: bytes
    """The reconstruction."""
    measured: Measured


class Worker(Protocol):
    """What codes tasks; it keeps its codecs open from one to the next."""

    def code(self, task: Task, content: bytes) -> Coded:
        """Compress, decompress and measure the PNG `content`. Raises `MiscompError` where that cannot be done."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt at a task ended."""

    task: Task
    reason: str = ""
    """Why it failed; empty where the result lies in `incoming/`."""
    seconds: float = 0.0
    full: bool = False
    """Whether it failed because the disk is full: the driver stops."""


class Engine(Protocol):
    """Who runs the workers: processes on this machine, or a cluster."""

    def run(self, setup: Setup, tasks: Sequence[Task], incoming: Path) -> Generator[Outcome]:
        """Attempt every task once and yield as each ends, in no fixed order. Close it to stop all workers.

        A worker that dies is an outcome of the task it was at, and is replaced.
        """
        ...
