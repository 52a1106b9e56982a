"""Stand-ins for the JPEG AI reference software and for TensorFlow Compression's `tfci.py`.

They follow those programs' command lines and file formats, and code with Pillow's JPEG inside: nothing is learned
from them about the real programs. `install_jpeg_ai` and `install_tfci` lay them out as the real ones lie;
`STANDIN_FAULT` makes them fail in one way.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import sys
import time
from pathlib import Path

FAULT = "STANDIN_FAULT"
CALLS = "calls.jsonl"
"""Beside the program: one line per call, with its arguments and the folder that it ran in."""


def install_jpeg_ai(folder: Path) -> Path:
    """A folder with the reference software's modules and settings files."""
    coders = folder / "src" / "reco" / "coders"
    coders.mkdir(parents=True)
    for package in (coders, coders.parent, coders.parent.parent):
        (package / "__init__.py").touch()
    for name in ("encoder", "decoder"):
        (coders / f"{name}.py").write_text(_call(f"jpeg_ai_{name}"))
    (folder / "cfg" / "profiles").mkdir(parents=True)
    (folder / "cfg" / "tools_off.json").write_text("{}")
    (folder / "cfg" / "profiles" / "high.json").write_text("{}")
    (folder / "cfg" / "info.json").write_text(json.dumps({"version": "stand-in 1", "codec_name": "JAI"}))
    return folder


def install_tfci(folder: Path) -> Path:
    """A folder with a `tfci.py`; the script's path."""
    folder.mkdir(parents=True)
    (folder / "tfci.py").write_text(_call("tfci"))
    return folder / "tfci.py"


def calls_of(folder: Path) -> list[dict[str, list[str]]]:
    """What the programs of a folder were called with."""
    return [json.loads(line) for line in (folder / CALLS).read_text().splitlines()]


def parts(*content: tuple[int, bytes]) -> bytes:
    """A JPEG AI bitstream of these markers and bytes; lengths in Exp-Golomb codes, filled up with zeros."""
    stream = b"\xff\x80"
    for marker, payload in content:
        number = f"{len(payload) + 1:b}"
        bits = "0" * (len(number) - 1) + number
        bits += "0" * (-len(bits) % 8)
        stream += marker.to_bytes(2, "big") + int(bits, 2).to_bytes(len(bits) // 8, "big") + payload
    return stream + b"\xff\x81"


def example(**features: bytes | list[int]) -> bytes:
    """A serialized `tf.train.Example`; names are the features', `MD` or a letter."""
    entries = b""
    for name, value in features.items():
        if isinstance(value, bytes):
            feature = field(1, field(1, value))
        else:
            feature = field(3, field(1, b"".join(varint(number) for number in value)))
        entries += field(1, field(1, name.encode()) + field(2, feature))
    return field(1, entries)


def field(number: int, content: bytes) -> bytes:
    """A protocol buffer's field of bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    """A protocol buffer's whole number."""
    digits = []
    while value > 0x7F:
        digits.append(0x80 | value & 0x7F)
        value >>= 7
    return bytes([*digits, value])


def jpeg_ai_encoder() -> None:
    """The encoder's command line; comes close to the target rate by trying every quality of JPEG."""
    parser = argparse.ArgumentParser()
    parser.add_argument("input_path")
    parser.add_argument("bin_path")
    parser.add_argument("-r", "--rec_path")
    parser.add_argument("--set_target_bpp", type=int)
    parser.add_argument("--cfg", nargs="*", default=[])
    parser.add_argument("-target_device", choices=["cpu", "gpu"], default="gpu")
    asked = parser.parse_args()
    _begin(Path.cwd())
    for file in asked.cfg:
        json.loads(Path(file).read_text())
    _fault(Path(asked.bin_path))
    target = asked.set_target_bpp / 100
    width, height, tries = _jpegs(asked.input_path, range(1, 96, 2))
    best = min(tries, key=lambda content: abs(8 * len(content) / (width * height) - target))
    Path(asked.bin_path).write_bytes(parts((0xFF82, bytes(12)), (0xFF88, bytes(300)), (0xFF89, best), (0xFF8A, b"")))
    print("stand-in encoder: done")


def jpeg_ai_decoder() -> None:
    """The decoder's command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("bit_fpath")
    parser.add_argument("rec_path")
    parser.add_argument("--device", choices=["cpu", "gpu"], default="gpu")
    parser.add_argument("-target_device", choices=["cpu", "gpu"], default="gpu")
    asked = parser.parse_args()
    _begin(Path.cwd())
    _fault(Path(asked.rec_path))
    content = Path(asked.bit_fpath).read_bytes()
    _write_png(content[content.index(b"\xff\xd8\xff") :], asked.rec_path)


def tfci() -> None:
    """The script's command line; a model's index is a quality of JPEG."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url_prefix")
    parser.add_argument("--metagraph_cache")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("compress", "decompress"):
        command = commands.add_parser(name)
        if name == "compress":
            command.add_argument("model")
            command.add_argument("--target_bpp", type=float)
            command.add_argument("--bpp_strict", action="store_true")
        command.add_argument("input_file")
        command.add_argument("output_file", nargs="?")
    asked = parser.parse_args()
    _begin(Path(sys.argv[0]).parent)
    _fault(Path(asked.output_file))
    if asked.command == "compress":
        index = {"lo": 1, "mi": 2, "hi": 3}.get(asked.model[-2:]) or int(asked.model.rpartition("-")[2])
        width, height, (jpeg,) = _jpegs(asked.input_file, [9 * index])
        model = "hific-hi" if os.environ.get(FAULT) == "other model" else asked.model
        features: dict[str, bytes | list[int]] = {
            "\x01": jpeg,
            "\x02": [height, width],
            "\x03": [-(-height // 16), -(-width // 16)],
        }
        Path(asked.output_file).write_bytes(example(**features, MD=model.encode()))
    else:
        content = Path(asked.input_file).read_bytes()
        _write_png(content[content.index(b"\xff\xd8\xff") :], asked.output_file)


def _call(function: str) -> str:
    place = str(Path(__file__).parent)
    return f"import sys\nsys.path.append({place!r})\nimport standin_programs\nstandin_programs.{function}()\n"


def _begin(folder: Path) -> None:
    with (folder / CALLS).open("a") as file:
        file.write(json.dumps({"arguments": sys.argv[1:], "folder": [os.getcwd()]}) + "\n")


def _jpegs(path: str, qualities: range | list[int]) -> tuple[int, int, list[bytes]]:
    from PIL import Image

    contents = []
    with Image.open(path) as image:
        for quality in qualities:
            file = io.BytesIO()
            image.save(file, format="JPEG", quality=quality)
            contents.append(file.getvalue())
        return image.width, image.height, contents


def _write_png(jpeg: bytes, path: str) -> None:
    from PIL import Image

    fault = os.environ.get(FAULT)
    with Image.open(io.BytesIO(jpeg)) as image:
        image.load()
        if fault == "wrong size":
            image.resize((image.width + 1, image.height)).save(path, format="PNG")
        elif fault == "grey":
            image.convert("L").save(path, format="PNG")
        elif fault == "truncated":
            file = io.BytesIO()
            image.save(file, format="PNG")
            Path(path).write_bytes(file.getvalue()[:-40])
        else:
            image.save(path, format="PNG")


def _fault(target: Path) -> None:
    """Fail as `STANDIN_FAULT` says; go on for none, and for those that concern what is written."""
    fault = os.environ.get(FAULT)
    if fault == "hang":
        time.sleep(120)
    elif fault == "nothing":
        sys.exit(0)
    elif fault == "foreign":
        target.write_bytes(b"GIF89a, and no more")
        sys.exit(0)
    elif fault == "exit":
        print("CUDA out of memory", file=sys.stderr)
        sys.exit(3)
    elif fault == "signal":
        os.kill(os.getpid(), signal.SIGKILL)
