"""JPEG AI (Rec. ITU-T T.840.1 | ISO/IEC 6048-1) by its reference software, run as a program; its own bitstreams.

Where it lies and how it codes is told by environment variables, see `docs/external_codecs.md`. The default is the
setting of the papers: all optional tools off, profile high (operating point HOP), a target rate.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from miscomp.codecs.base import MAX_MEGAPIXELS
from miscomp.codecs.external import Program, find_executable, git_commit, read_timeout_s
from miscomp.codecs.rows import CodecRow
from miscomp.errors import StreamError, UsageError
from miscomp.images import Pixels

FOLDER = "MISCOMP_JPEG_AI"
PYTHON = "MISCOMP_JPEG_AI_PYTHON"
CFG = "MISCOMP_JPEG_AI_CFG"
DEVICE = "MISCOMP_JPEG_AI_DEVICE"
DEFAULT_CFG = "cfg/tools_off.json cfg/profiles/high.json"
DEVICES = ("cpu", "gpu")

SOURCE = "https://gitlab.com/wg1/jpeg-ai/jpeg-ai-reference-software"
PAPERS_COMMIT = "50ec147866a51da33c90065aefdbd770cc1723a6"
_CODERS = Path("src", "reco", "coders")

# A bitstream is a start marker, parts, and an end marker; a part is a marker, its length, and as many bytes.
_START, _END, _PICTURE_HEADER = 0xFF80, 0xFF81, 0xFF82
_PARTS = frozenset({_PICTURE_HEADER, 0xFF83, 0xFF84, 0xFF88, 0xFF89, 0xFF8A, 0xFF8B, 0xFF8C})
_MAX_PARTS = 100_000
"""Above two residuals for each of the 128 x 128 regions that the syntax allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JpegAi:
    """The reference software in one folder, with one list of settings."""

    row: CodecRow
    program: Program
    folder: Path
    cfg: tuple[str, ...]
    """Its settings files, relative to the folder; later ones override earlier ones."""
    device: str = ""
    """Where it computes; empty: as the software decides."""

    @property
    def name(self) -> str:
        """The registry row's name."""
        return self.row.name

    def compress(self, pixels: Pixels, quality: float) -> bytes:
        """Encode 8-bit RGB, (h, w, 3), once; `quality` is the target rate in hundredths of a bit per pixel.

        The software comes close to the target, or says in its log that it could not; the file's size is the rate.
        Raises `UsageError` for another quality or size and for whatever goes wrong with the software.
        """
        self.row.qualities.check(self.name, quality)
        self.row.check_size(pixels.shape[1], pixels.shape[0])
        device = ["-target_device", self.device] if self.device else []

        def arguments(source: str, target: str) -> Sequence[str]:
            target_rate = ["--set_target_bpp", str(int(quality))]
            return ["-m", "src.reco.coders.encoder", source, target, *target_rate, "--cfg", *self.cfg, *device]

        content = self.program.encode(pixels, arguments)
        try:
            check_stream(content)
        except StreamError as error:
            raise UsageError(
                f"{self.name}: its encoder ended well, but wrote what is no bitstream of T.840.1: {error.problem}; "
                f"try another version of the software than {self.version()}"
            ) from error
        return content

    def decompress(self, content: bytes, *, max_megapixels: float = MAX_MEGAPIXELS) -> Pixels:
        """Decode a bitstream. Raises `StreamError` for anything but a whole one of at most `max_megapixels`."""
        check_stream(content)
        device = ["-target_device", self.device, "--device", self.device] if self.device else []

        def arguments(source: str, target: str) -> Sequence[str]:
            return ["-m", "src.reco.coders.decoder", source, target, *device]

        return self.program.decode(content, arguments, max_megapixels=max_megapixels)

    def version(self) -> str:
        """What codes: the software's version and commit where they are known, and its settings files."""
        named = _named_version(self.folder)
        commit = git_commit(self.folder / _CODERS / "encoder.py")
        known = [f"version {named}"] * bool(named) + [f"commit {commit}"] * bool(commit)
        return f"JPEG AI reference software, {', '.join(known) or 'version unknown'}, {' '.join(self.cfg)}"


def open_software(row: CodecRow) -> JpegAi:
    """Find the software by the environment; `UsageError` says what to get and which variable to set."""
    folder = _find_folder(row.name)
    cfg = tuple(shlex.split(os.environ.get(CFG, "") or DEFAULT_CFG))
    for file in cfg:
        if not (folder / file).is_file():
            profiles = sorted(path.name for path in folder.glob("cfg/profiles/*.json"))[:20]
            raise UsageError(
                f"{folder} has no settings file {file}; let {CFG} list others, with spaces between them. "
                f"Profiles found: {', '.join(profiles) or 'none'}"
            )
    device = os.environ.get(DEVICE, "")
    if device not in ("", *DEVICES):
        raise UsageError(f"{DEVICE} is {device!r}; it needs one of {', '.join(DEVICES)}, or nothing")
    python = find_executable(os.environ.get(PYTHON, "") or "python3", PYTHON)
    program = Program(
        codec=row.name, command=(python,), folder=folder, coded_suffix=row.suffix, timeout_s=read_timeout_s()
    )
    return JpegAi(row=row, program=program, folder=folder, cfg=cfg, device=device)


def is_jpeg_ai(content: bytes) -> bool:
    """Whether the bytes begin as a JPEG AI bitstream does: start marker, then the picture header's."""
    return content.startswith(b"\xff\x80\xff\x82")


def codec_of(content: bytes) -> str | None:
    """The registry's name for a file of this codec; none for other bytes."""
    return "jpeg-ai" if is_jpeg_ai(content) else None


def check_stream(content: bytes) -> None:
    """Raise `StreamError` for bytes that are no whole bitstream; what stands after its end is ignored.

    The reference decoder looks for the end marker without asking whether the file has ended, so that it never
    returns from a truncated or foreign one: such are refused here. Whether the parts' content is intact it says itself.
    """
    if not is_jpeg_ai(content):
        begin = f"it begins with {content[:4].hex(' ')}" if content else "it is empty"
        raise StreamError("stream", f"not a JPEG AI bitstream: {begin}, not ff 80 ff 82")
    position = 2
    for _ in range(_MAX_PARTS):
        marker = int.from_bytes(content[position : position + 2], "big")
        if position + 2 > len(content):
            break
        if marker == _END:
            return
        if marker not in _PARTS:
            raise StreamError("stream", f"damaged: at byte {position} the marker {marker:04x} is none of JPEG AI's")
        size, position = _read_length(content, position + 2)
        position += size
        if position > len(content):
            break
    else:
        raise StreamError("stream", f"damaged: it has more than {_MAX_PARTS} parts")
    raise StreamError("stream", f"truncated: it ends after {len(content)} bytes, before its end marker")


def _read_length(content: bytes, start: int) -> tuple[int, int]:
    """A part's length, an Exp-Golomb code of order 0 filled up to whole bytes, and where its bytes begin.

    n zeros and then a number of n + 1 bits, which is the length + 1. A code that is cut off gives what its bits say:
    the length then reaches past the end.
    """
    # 32 zeros and 33 bits are 65: nine bytes. Longer codes are for lengths that no file has.
    bits = "".join(f"{byte:08b}" for byte in content[start : start + 9]).ljust(72, "0")
    zeros = bits.find("1")
    if not 0 <= zeros <= 32:
        return 2**33, start + 9
    count = 2 * zeros + 1
    return int(bits[zeros:count], 2) - 1, start + (count + 7) // 8


def _find_folder(codec: str) -> Path:
    named = os.environ.get(FOLDER, "")
    advice = (
        f"get it from {SOURCE} (the papers used commit {PAPERS_COMMIT[:7]}), set it up as its README says "
        f"(with its models), and let {FOLDER} name its folder and {PYTHON} its Python interpreter"
    )
    if not named:
        raise UsageError(f"{codec} runs the JPEG AI reference software, which is not part of miscomp: {advice}")
    folder = Path(named).expanduser().absolute()
    for coder in ("encoder.py", "decoder.py"):
        if not (folder / _CODERS / coder).is_file():
            raise UsageError(f"{FOLDER} is {named!r}, which has no {_CODERS / coder}: {advice}")
    return folder


def _named_version(folder: Path) -> str:
    """The version that the software gives itself in `cfg/info.json`, at most 40 letters; empty where it gives none."""
    with suppress(OSError, ValueError, RecursionError):
        with (folder / "cfg" / "info.json").open("rb") as file:
            info = json.loads(file.read(65536))
        if isinstance(info, dict) and isinstance(info.get("version"), str) and info["version"].isprintable():
            return str(info["version"][:40])
    return ""
