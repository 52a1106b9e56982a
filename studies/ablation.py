"""What each node of the labelers' decision tree contributes to the detector `rules`, on planted pairs.

    python studies/ablation.py PAIRS -o DIR

PAIRS is a folder that `miscomp plant` wrote from tuning pictures. The places proposed are the same throughout; what
changes is the score, from which one node after the other is left out. Text is not read: a changed word does not depend
on the nodes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from miscomp.benchmark.run import BenchmarkOptions, detect_settings, run_benchmark
from miscomp.benchmark.summary import summary_text
from miscomp.detect.catalog import DetectorRow
from miscomp.detect.reader import TextReader
from miscomp.detect.rules import Formula, RulesDetector, tree_score

FORMULAS: dict[str, Formula] = {
    "all": tree_score,
    "without-changed": lambda c, r, s, e: r * (1 - s * e),
    "without-relevant": lambda c, r, s, e: c * (1 - s * e),
    "without-suspicion": lambda c, r, s, e: c * r * (1 - e),
    "without-expected": lambda c, r, s, e: c * r * (1 - s),
    "without-both": lambda c, r, s, e: c * r,
    "changed-alone": lambda c, r, s, e: c,
}


def build(name: str, reader: TextReader | None) -> RulesDetector:
    """The rules with one of the formulas; its version tells them apart."""
    detector = RulesDetector(reader, formula=FORMULAS[name])
    detector.version = f"{detector.version}-{name}"
    return detector


def _builder(name: str) -> DetectorRow:
    attribute = f"open_{name.replace('-', '_')}"
    setattr(sys.modules[__name__], attribute, lambda *, reader=None, sources=(): build(name, reader))
    return DetectorRow(name=name, build=f"{__name__}:{attribute}", description=name)


def main() -> None:
    """Run every variant and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    rows = [_builder(name) for name in FORMULAS]
    options = BenchmarkOptions(plots=False, detect=detect_settings(text=False), force=True)
    print(summary_text(run_benchmark(arguments.pairs, rows, arguments.output, options)))


if __name__ == "__main__":
    main()
