from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from miscomp import images
from miscomp.training.curves import points, ticks, write_curves


def log(count: int) -> list[dict[str, str]]:
    return [
        {"step": str(s), "loss": f"{9 / s:g}", "psnr_db": f"{s / 9:g}", "skipped": "0"} for s in range(1, count + 1)
    ]


def test_points_are_means_of_a_step_s_rows_and_only_finite_ones() -> None:
    rows = [{"step": "4", "loss": "1"}, {"step": "2", "loss": "5"}, {"step": "4", "loss": "3"}]
    rows += [{"step": "6", "loss": "nan"}, {"step": "8", "loss": ""}, {"step": "", "loss": "1"}, {"step": "9"}]
    assert points(rows, "loss") == [(2.0, 5.0), (4.0, 2.0)]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1000.0, [0, 200, 400, 600, 800, 1000]),
        (0.013, 0.061, [0.02, 0.03, 0.04, 0.05, 0.06]),
        (-3.0, 2.0, [-3, -2, -1, 0, 1, 2]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high, 5) == pytest.approx(expected)


def test_every_figure_gets_a_panel_and_validation_its_own_colour(tmp_path: Path) -> None:
    path = tmp_path / "curves.png"
    write_curves(path, log(60), [])
    plain = images.read(path).pixels
    write_curves(path, log(60), [{"step": "30", "quality": "0", "loss": "4"}])
    judged = images.read(path).pixels
    assert plain.shape == judged.shape == (500, 900, 3)
    orange = np.array([200, 80, 0])
    assert not (plain == orange).all(2).any()
    assert (judged[:250] == orange).all(2).any()
    assert not (judged[250:] == orange).all(2).any()


@pytest.mark.parametrize("rows", [log(1), [{"step": "5", "loss": "0"}], [{"step": "5", "loss": "nan"}]])
def test_a_single_point_or_none_is_drawn_without_complaint(tmp_path: Path, rows: list[dict[str, str]]) -> None:
    write_curves(tmp_path / "curves.png", rows, [])
    assert images.read(tmp_path / "curves.png").width == 900


def test_nothing_logged_gives_no_picture(tmp_path: Path) -> None:
    write_curves(tmp_path / "curves.png", [], [])
    assert list(tmp_path.iterdir()) == []
