"""Write down how detectors scored, for the reports that show what they found.

    python studies/standing.py DIR/benchmark.json --pairs "plants in ..." -o src/miscomp/detect/assets/standing.json

DIR is what `miscomp benchmark` wrote. Versions that the output holds already keep their entry unless scored anew.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from miscomp.folders import write_text
from miscomp.records import Annotation
from miscomp.tables import read

SCORES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def main() -> None:
    """Keep what a report shows of every detector that is no baseline."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("benchmark", type=Path)
    parser.add_argument("--pairs", required=True, help="what it was measured on, in words")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    content: dict[str, Any] = json.loads(arguments.benchmark.read_text(encoding="utf-8"))
    kept: dict[str, Any] = {}
    if arguments.output.exists():
        kept = {one["version"]: one for one in json.loads(arguments.output.read_text(encoding="utf-8"))}
    for detector in content["detectors"]:
        if not detector["baseline"]:
            found = read(arguments.benchmark.parent / "detections" / f"{detector['name']}.csv", Annotation)
            kept[detector["version"]] = {
                **standing(detector, content["counts"], arguments.pairs),
                "false_alarms_coded": coded_alarms(detector, found),
            }
    write_text(arguments.output, json.dumps(list(kept.values()), indent=1) + "\n")


def standing(detector: dict[str, Any], counts: dict[str, float], pairs: str) -> dict[str, Any]:
    """One entry."""
    table = {round(row["score"], 2): row["false_alarms"]["value"] for row in detector["score_table"]}
    return {
        "version": detector["version"],
        "benchmark": pairs,
        "average_precision": estimate(detector["average_precision"]),
        "recall_at_ten": estimate(detector["recall_at"]["10"]),
        "false_alarms": [[score, round(table[score], 3)] for score in SCORES],
        "control_megapixels": round(counts["control_megapixels"], 1),
    }


def coded_alarms(detector: dict[str, Any], found: Sequence[Annotation]) -> list[list[float]]:
    """For each score the findings per megapixel in the controls that only went through a codec at a high rate."""
    coded = {row["model"]: row["megapixels"] for row in detector["controls"] if "@" in row["model"]}
    scores = [one.score or 0.0 for one in found if one.model in coded]
    total = sum(coded.values())
    return [[score, round(sum(one >= score for one in scores) / total, 3)] for score in SCORES]


def estimate(figure: dict[str, Any]) -> dict[str, float]:
    """A figure with its interval."""
    low, high = figure["interval_95"]
    return {"value": round(figure["value"], 4), "low": round(low, 4), "high": round(high, 4)}


if __name__ == "__main__":
    main()
