from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from marked_codec import marked, noise
from scipy import stats

from miscomp.errors import InputError, UsageError
from miscomp.images import write_png
from miscomp.secure import samples
from miscomp.secure.calibrate import calibrate, draw_lines, gap, measure_rates
from miscomp.secure.calibration import (
    Calibration,
    Thresholds,
    read_calibration,
    shipped_calibration,
    weights_sha256,
    write_calibration,
)
from miscomp.secure.codec import open_secure
from miscomp.secure.rates import auc, clopper_pearson, roc, share
from miscomp.secure.samples import Splice, Window
from miscomp.secure.survival import Survival

LINES = Thresholds(survives_below=-2, destroyed_above=-1, least_share=0.02, least_region=4, reach=8)


def window(photograph: int, kind: str, score: float, *, other: float = 0.0, blocks: int = 0) -> Window:
    """A window of one score, but for some blocks in its first rows."""
    scores = np.full((16, 16), score, np.float32)
    scores.flat[:blocks] = other
    coded = kind in ("decoded", "shifted", "blur", "noise")
    uniform = np.zeros((16, 16), np.bool_)
    return Window(photograph=photograph, kind=kind, coded=coded, scores=scores, uniform=uniform)


def splice(reach: int) -> Splice:
    """64 x 64 pixels that are foreign, of which `reach` on each side were destroyed."""
    errors = np.full((40, 40), 0.3, np.float32)
    errors[12 + reach // 4 : 28 - reach // 4, 12 + reach // 4 : 28 - reach // 4] = 1e-4
    mask = np.zeros((160, 160), np.bool_)
    mask[48:112, 48:112] = True
    return Splice(survival=Survival(160, 160, errors, np.zeros((10, 10), np.bool_)), mask=mask)


def test_the_lines_lie_at_the_thirds_of_the_gap_between_uncoded_and_coded() -> None:
    windows = [window(0, "original", -3.5), window(0, "decoded", -0.5), window(1, "shifted", -0.5)]
    lines, _ = draw_lines(windows, [splice(8)])
    assert (lines.survives_below, lines.destroyed_above) == pytest.approx((-2.5, -1.5))
    assert lines.least_share == 0.02 and lines.least_region == 4


def test_textures_that_the_codec_destroys_by_nature_move_no_line() -> None:
    """Oracle: the gap without them."""
    uncoded = np.full(25600, -3.5, np.float32)
    coded = np.full(25600, -0.5, np.float32)
    clean = gap(uncoded, coded)
    uncoded[:260] = -0.4
    assert gap(uncoded, coded) == clean == pytest.approx((-3.5, -0.5))


def test_the_least_share_lies_above_what_uncoded_windows_reach() -> None:
    """Oracle: by hand. 2 of 100 windows hold 26 destroyed blocks; one more block than that is needed."""
    windows = [window(n, "original", -3.5, other=-0.4, blocks=26 if n < 2 else 0) for n in range(100)]
    lines, _ = draw_lines([*windows, window(0, "decoded", -0.5)], [])
    assert lines.least_share == pytest.approx(27 / 256)


def test_the_least_region_lies_above_what_survives_in_unedited_pictures() -> None:
    coded = [window(n, "decoded", -0.5, other=-3.5, blocks=7 if n < 3 else 0) for n in range(100)]
    coded += [window(n, "blur", -3.5) for n in range(9)]  # edited: they do not count
    lines, _ = draw_lines([window(0, "original", -3.5), *coded], [])
    assert lines.least_region == 8


def test_the_reach_is_what_fits_the_splices_best() -> None:
    """Oracle: 8 pixels were taken off each side, and the window of 16 pixels takes about 8 more."""
    windows = [window(0, "original", -3.5), window(0, "decoded", -0.5)]
    lines, tried = draw_lines(windows, [splice(8), splice(8)])
    assert lines.reach in (12, 16, 20)
    assert tried[str(lines.reach)] == max(tried.values()) > 0.85
    assert draw_lines(windows, [splice(0)])[0].reach < lines.reach


def test_a_codec_that_destroys_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="do not destroy themselves"):
        draw_lines([window(0, "original", -3.5), window(0, "decoded", -3.6)], [])
    with pytest.raises(UsageError, match="hold no window of 256 x 256"):
        draw_lines([window(0, "original", -3.5)], [])


def test_rates_count_windows_and_photographs() -> None:
    """Oracle: by hand. 1 of 4 uncoded windows is taken for coded, 3 of 4 edited ones are recognised."""
    windows = [window(n % 2, "original", -3, other=-0.4, blocks=20 if n == 0 else 0) for n in range(4)]
    windows += [window(n, "decoded", -0.5) for n in range(2)]
    windows += [window(n % 2, "blur", -3 if n == 0 else -0.5) for n in range(4)]
    rates = measure_rates(windows, LINES)
    assert (rates["false_alarms"]["count"], rates["false_alarms"]["windows"]) == (1, 4)
    assert rates["false_alarms"]["photographs"] == 2
    eight = rates["detection"]["paper's eight edits"]
    assert (eight["count"], eight["share"]) == (3, 0.75)
    assert rates["detection"]["unedited"]["share"] == 1
    assert rates["detection"]["further edits"]["interval"] is None
    assert (
        rates["taken_for_partly"]["all coded"]["count"] == 0 and rates["taken_for_partly"]["unedited"]["windows"] == 2
    )
    # 3 windows win against all 4 uncoded; the blurred one ties with 3 and loses to the one with 20 blocks.
    assert rates["auc"]["paper's eight edits"]["value"] == pytest.approx((12 + 1.5) / 16)
    kinds = {one["kind"]: one["answers"] for one in rates["kinds"]}
    assert kinds["blur"] == {"carries": 3, "partly": 0, "absent": 1, "undecided": 0}
    assert kinds["original"]["partly"] == 1
    assert sum(rates["block_scores"]["uncoded"]) == 4 * 256
    assert rates["roc"]["unedited"][0] == [1.0, 0.0, 1.0]


def test_windows_that_get_no_answer_are_no_detections() -> None:
    """Oracle: by hand. 100 of 256 blocks are destroyed, the others lie between the thresholds: undecided."""
    windows = [window(n, "blur", -1.5, other=-0.5, blocks=100) for n in range(4)] + [window(0, "original", -3)]
    rates = measure_rates(windows, LINES)
    assert rates["kinds"][0]["answers"]["undecided"] == 4
    assert rates["detection"]["all coded"]["count"] == 0
    assert rates["auc"]["all coded"]["value"] == 1, "the share by itself tells them apart"


def test_the_interval_is_clopper_and_pearsons() -> None:
    """Oracle: scipy's exact interval, for whole numbers."""
    for hits, trials in ((0, 24), (3, 24), (24, 24)):
        wanted = stats.binomtest(hits, trials).proportion_ci(0.95, "exact")
        assert clopper_pearson(hits, trials) == pytest.approx((wanted.low, wanted.high), abs=1e-9)
    assert share([True] * 6, [0, 0, 1, 1, 2, 2])["interval"] == pytest.approx(list(clopper_pearson(3, 3)))
    with pytest.raises(ValueError, match="successes"):
        clopper_pearson(3, 2)


def test_the_area_is_that_of_mann_and_whitney() -> None:
    """Oracle: scipy's statistic over the number of pairs."""
    rng = np.random.default_rng(0)
    positive, negative = rng.integers(0, 9, 30) / 8, rng.integers(0, 6, 40) / 8
    found = auc(positive, negative, (np.arange(30) % 5, np.arange(40) % 5))
    assert found["value"] == pytest.approx(stats.mannwhitneyu(positive, negative).statistic / 1200)
    low, high = found["interval"]
    assert low < found["value"] < high
    assert auc(positive, np.empty(0), (np.arange(30), np.empty(0, np.int64)))["value"] is None


def test_the_curve_goes_from_the_highest_threshold_to_all() -> None:
    rows = roc(np.array([1.0, 0.5]), np.array([0.5, 0.0]))
    assert rows == [[1.0, 0.0, 0.5], [0.5, 0.5, 1.0], [0.0, 1.0, 1.0]]


@pytest.fixture
def photographs(tmp_path: Path) -> list[Path]:
    for n in range(4):
        write_png(tmp_path / f"{n}.png", noise(290, 300, n))
    return sorted(tmp_path.iterdir())


def test_a_codec_is_calibrated_from_files(photographs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: the stand-in destroys what is marked and nothing else, wherever the noise is kept."""
    monkeypatch.setattr(samples, "OTHERS", (("jpeg", 90),))
    monkeypatch.setattr(samples, "EDIT_NAMES", ("crop", "blur"))
    told: list[tuple[int, int, str]] = []
    found = calibrate(photographs[:2], photographs[2:], marked(), progress=lambda *step: told.append(step))
    assert told[-1] == (6, 6, "3.png") and len(told) == 6
    assert found.weights_sha256 == "" and found.codec == "marked@q0.65"
    kinds = {one["kind"]: one for one in found.rates["kinds"]}
    assert kinds["decoded"]["answers"]["carries"] == kinds["decoded"]["windows"] == 2
    assert kinds["blur"]["answers"]["absent"] == 2 and kinds["jpeg@90"]["answers"]["absent"] == 2
    assert found.rates["false_alarms"]["count"] == 0 and found.thresholds.least_share == 0.02
    assert found == calibrate(photographs[:2], photographs[2:], marked())


def test_photographs_too_small_to_test_on_are_refused(photographs: list[Path], tmp_path: Path) -> None:
    small = [tmp_path / "small" / f"{n}.png" for n in range(2)]
    small[0].parent.mkdir()
    for n, file in enumerate(small):
        write_png(file, noise(96, 96, n))
    with pytest.raises(UsageError, match="hold no window of 256 x 256"):
        calibrate(photographs[:2], small, marked())


def test_photographs_for_lines_and_for_tests_must_differ(photographs: list[Path]) -> None:
    for tune, test in ((photographs[:1], photographs[1:]), (photographs, photographs[2:])):
        with pytest.raises(UsageError, match="two or more others"):
            calibrate(tune, test, marked())


def test_a_calibration_is_read_as_it_was_written(tmp_path: Path) -> None:
    one = Calibration(codec="slic@q0.65", quality=0.65, weights_sha256="ab", thresholds=LINES, rates={"roc": [[1, 2]]})
    path = tmp_path / "lines.json"
    write_calibration(path, one)
    assert read_calibration(path) == one


@pytest.mark.parametrize(
    "change",
    [
        {"thresholds": {}},
        {"thresholds": {**dict.fromkeys(("survives_below", "destroyed_above", "least_share"), float("nan"))}},
        {"rates": 3},
        {"quality": "high"},
        {"quality": float("nan")},
        {"quality": 10**400},
        {"codec": None},
        {"miscomp_secure_calibration": 9},
        {"more": 1},
    ],
)
def test_a_file_that_is_no_calibration_is_refused_by_name(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "lines.json"
    one = Calibration(codec="slic@q0.65", quality=0.65, weights_sha256="", thresholds=LINES)
    write_calibration(path, one)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=r"lines\.json: is no calibration .*`miscomp secure calibrate`"):
        read_calibration(path)


def test_bytes_that_are_no_json_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "lines.json"
    for content in (b"", b"\xff\xfe", b"[" * 100_000, b"{} " * 2**21):
        path.write_bytes(content)
        with pytest.raises(InputError, match="is no calibration"):
            read_calibration(path)
    with pytest.raises(InputError, match="No such file"):
        read_calibration(tmp_path / "none.json")


@pytest.mark.parametrize(
    "change",
    [
        {"survives_below": 0.0},
        {"least_share": 0.0},
        {"least_share": 1.5},
        {"least_region": 0},
        {"least_region": 2.5},
        {"reach": -4},
        {"destroyed_above": float("inf")},
    ],
)
def test_thresholds_that_make_no_sense_are_refused(change: dict[str, float]) -> None:
    good = {"survives_below": -2, "destroyed_above": -1, "least_share": 0.02, "least_region": 4, "reach": 8}
    with pytest.raises(ValueError, match=next(iter(change)) if "destroyed_above" not in change else "finite"):
        Thresholds(**{**good, **change})  # type: ignore[arg-type]


def test_the_packages_calibration_is_that_of_its_weights() -> None:
    found = read_calibration(shipped_calibration())
    secure = open_secure()
    assert found.weights_sha256 == weights_sha256(secure)
    assert found.problem(secure) == ""
    assert found.rates["measured_on"]["photographs"] >= 20
