"""Record what CompressAI computes at a few channels, for the tests: weights and picture are formulas, results are kept.

For each architecture: names and shapes of the state dict, y, every third row and column of x_hat (3 meets every phase
of strides 2 to 16) and the bits by the likelihoods. Nothing that is rounded may lie so close to a border that another
machine could round it otherwise.

    python studies/record_compressai.py --compressai-python ../other/bin/python --force
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from compressai_side import SMALL, Side, WorkerError, random_weights, shapes
from formula_weights import formula_picture

HEIGHT, WIDTH = 64, 128
EVERY = 3
LEAST_MARGIN = 1e-4
OUTPUT = Path(__file__).resolve().parents[1] / "tests" / "codecs" / "networks" / "data" / "compressai.npz"


def recorded(theirs: Side, folder: Path) -> dict[str, np.ndarray]:
    """All arrays of the file. Raises `WorkerError`, and `ValueError` for a latent too close to a border."""
    arrays: dict[str, np.ndarray] = {}
    for architecture, channels in SMALL.items():
        weights = random_weights(theirs, architecture, channels, folder)
        theirs.ask("load", architecture=architecture, state=str(weights))
        result = theirs.forward(formula_picture(HEIGHT, WIDTH), folder)
        bits = f"y {result.y_bits:.1f}, z {result.z_bits:.1f}"
        print(f"{architecture}: bits {bits}; closest to a border {result.margin:.1e}", file=sys.stderr)
        if result.margin < LEAST_MARGIN:
            raise ValueError(f"{architecture}: a value lies {result.margin:.1e} from a border between whole numbers")
        names = json.dumps(shapes(theirs, architecture, channels)).encode()
        arrays |= {
            f"{architecture}/shapes": np.frombuffer(names, dtype=np.uint8),
            f"{architecture}/y": result.y,
            f"{architecture}/x_hat": result.x_hat[..., ::EVERY, ::EVERY],
            f"{architecture}/bits": np.array([result.y_bits, result.z_bits]),
        }
    return arrays


def main() -> None:
    """Write the file; says on stderr what was recorded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compressai-python", default=sys.executable, help="an interpreter that has compressai")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="default: where the tests look for it")
    parser.add_argument("--force", action="store_true", help="replace the file")
    options = parser.parse_args()
    if options.output.exists() and not options.force:
        parser.error(f"{options.output} exists; --force replaces it")
    with tempfile.TemporaryDirectory() as scratch:
        try:
            with Side("theirs", python=options.compressai_python, threads=1) as theirs:
                arrays = recorded(theirs, Path(scratch))
        except (WorkerError, ValueError) as error:
            sys.exit(f"record_compressai: {error}")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(options.output, allow_pickle=False, **arrays)
    print(f"{options.output}: {options.output.stat().st_size} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
