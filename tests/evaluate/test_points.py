from __future__ import annotations

from itertools import pairwise

import pytest

from miscomp.codecs.catalog import CODECS
from miscomp.errors import UnknownName, UsageError
from miscomp.evaluate.points import make_points, sweep


@pytest.mark.parametrize("name", CODECS.names)
@pytest.mark.parametrize("points", [2, 4, 8, 20])
def test_a_sweep_rises_over_qualities_that_the_codec_has(name: str, points: int) -> None:
    scale = CODECS[name].qualities
    qualities = sweep(name, points)
    assert len(qualities) == min(points, round((scale.high - scale.low) / scale.step) + 1)
    assert all(low < high for low, high in pairwise(qualities))
    assert [scale.check(name, quality) for quality in qualities] == qualities
    assert all(len(f"{quality:g}") <= 6 for quality in qualities)


def test_a_scale_too_coarse_for_so_many_points_gives_each_of_its_qualities_once() -> None:
    assert sweep("jpeg", 500) == list(range(5, 71))


def test_a_codec_that_nobody_measured_is_swept_from_end_to_end() -> None:
    assert sweep("lucid", 5) == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_a_name_is_a_curve_and_a_name_with_a_setting_a_point() -> None:
    specs = [str(spec) for spec in make_points(["jpeg", "lucid@0.25bpp", "webp@q10"], points=4)]
    assert specs == [f"jpeg@q{quality:g}" for quality in sweep("jpeg", 4)] + ["lucid@0.25bpp", "webp@q10"]


def test_rates_are_for_every_codec_without_a_setting() -> None:
    specs = make_points(["jpeg", "webp@q10", "lucid"], bpps=[0.15, 0.5])
    assert [str(one) for one in specs] == [
        "jpeg@0.15bpp", "jpeg@0.5bpp", "webp@q10", "lucid@0.15bpp", "lucid@0.5bpp",
    ]  # fmt: skip


def test_a_point_that_is_asked_for_twice_is_measured_once() -> None:
    assert len(make_points(["jpeg", "jpeg@q5", "jpeg"], points=4)) == 4


def test_what_cannot_be_a_point_is_refused() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'jpeg'"):
        make_points(["jpg"])
    with pytest.raises(UsageError, match=r"jpeg@0\.25bpp"):
        make_points(["jpeg@like:lucid"])
    with pytest.raises(UsageError, match="above 0"):
        make_points(["jpeg"], bpps=[0.0])
    with pytest.raises(UsageError, match="every codec here has one"):
        make_points(["jpeg@q5"], bpps=[0.5])
    with pytest.raises(UsageError, match="at least 2 points"):
        make_points(["jpeg"], points=1)
