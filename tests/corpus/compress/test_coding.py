"""The worker with real codecs; the oracle is each codec and metric called by itself."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import seeded_codec
from corpora import picture, png, small_config

from miscomp.codecs.rate import encode
from miscomp.codecs.request import model_row
from miscomp.codecs.spec import open_spec, parse_spec
from miscomp.corpus.compress.attempts import attempt, code
from miscomp.corpus.compress.availability import find_available, resolved_specs
from miscomp.corpus.compress.coding import Coder, deterministic
from miscomp.corpus.compress.incoming import place, read_placed, waiting
from miscomp.corpus.compress.tasks import Coded, Measured, Setup, Task
from miscomp.corpus.config import Config
from miscomp.errors import ImageError, InputError, UsageError
from miscomp.images import decode, pixel_sha256
from miscomp.metrics.psnr import psnr_pixels
from miscomp.metrics.ssim import ms_ssim, ssim

PIXELS = picture(3)
CONTENT = png(PIXELS)
SHA1 = hashlib.sha1(CONTENT, usedforsecurity=False).hexdigest()


def setup_of(*specs: str, seed: int = 5) -> Setup:
    return Setup(specs=specs, seed=seed, max_megapixels=1.0)


def task(spec: str, folder: Path = Path("originals")) -> Task:
    return Task(image_sha1=SHA1, model="M", spec=spec, source=folder / f"{SHA1}.png")


def made_of(spec: str) -> Coded:
    return Coder(setup_of(spec)).code(task(spec), CONTENT)


def _without_times(coded: Coded) -> Measured:
    return replace(coded.measured, encode_s=0.0, decode_s=0.0)


def test_a_result_is_what_codec_and_metrics_give_by_themselves() -> None:
    spec = parse_spec("webp@0.6bpp")
    found, encoded = made_of("webp@0.6bpp"), encode(spec, PIXELS)
    made = open_spec(spec).decompress(encoded.content)
    assert (found.stream, found.suffix) == (encoded.content, ".webp")
    assert np.array_equal(decode(found.png, "made")[0], made)
    numbers = found.measured
    assert (numbers.psnr, numbers.ssim) == (psnr_pixels(PIXELS, made), ssim(PIXELS, made))
    assert numbers.ms_ssim == ms_ssim(PIXELS, made) and numbers.ms_ssim is not None
    assert (numbers.width, numbers.height, numbers.pixel_sha256) == (192, 176, pixel_sha256(made))
    assert (numbers.quality, numbers.note) == (encoded.quality, encoded.note)
    assert (numbers.version, numbers.weights_sha256) == (model_row(spec).version, "")
    assert numbers.encode_s > 0 and numbers.decode_s > 0


def test_a_rate_that_follows_another_codec_is_found_within_the_task() -> None:
    target = encode(parse_spec("webp@q30"), PIXELS).bpp
    found = made_of("jpeg@like:webp@q30")
    assert found.stream == encode(parse_spec("jpeg@like:webp@q30"), PIXELS, like_bpp=target).content


def test_a_network_gives_the_same_whatever_the_threads_and_leaves_torch_as_it_was() -> None:
    import torch

    before = torch.get_num_threads()
    coder = Coder(setup_of("lucid@q0.4"))
    try:
        results = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(coder.code(task("lucid@q0.4"), CONTENT))
            assert torch.get_num_threads() == threads and not torch.are_deterministic_algorithms_enabled()
    finally:
        torch.set_num_threads(before)
    first, second = results
    assert (first.stream, first.png) == (second.stream, second.png)
    assert _without_times(first) == _without_times(second)
    assert first.measured.weights_sha256 == model_row(parse_spec("lucid@q0.4")).weights_sha256 != ""


def test_random_numbers_follow_the_seed_and_are_put_back() -> None:
    import torch

    states = (random.getstate(), torch.get_rng_state(), cv2.getNumThreads())
    drawn = []
    for seed in (1, 1, 2**63 - 1):
        with deterministic(seed):
            drawn.append((random.random(), float(np.random.random()), float(torch.rand(1))))
    assert drawn[0] == drawn[1] != drawn[2]
    assert random.getstate() == states[0] and torch.equal(torch.get_rng_state(), states[1])
    assert cv2.getNumThreads() == states[2]


def test_what_torch_cannot_do_deterministically_is_noted() -> None:
    import warnings

    with deterministic(0) as noted:
        warnings.warn("cumsum does not have a deterministic implementation", UserWarning, stacklevel=1)
    assert noted == ["torch: cumsum does not have a deterministic implementation"]


def test_codecs_that_decode_at_random_get_the_seed_of_the_settings_unless_they_name_one() -> None:
    with seeded_codec.registered():
        models = [{"model": f"M{n}", "codec": "C", "spec": f"dreamer@q5{end}"} for n, end in enumerate(("", "+seed9"))]
        config = Config.model_validate({"seed": 3, "models": models})
        specs = resolved_specs(config)
        assert specs == {"M0": "dreamer@q5+seed3", "M1": "dreamer@q5+seed9"}
        assert [one.seed for one in find_available(config.models, specs).entries] == [3, 9]
        assert int.from_bytes(made_of(specs["M0"]).stream[:8], "little") == 3


def test_a_name_alone_is_given_the_setting_that_it_stands_for() -> None:
    models = [
        {"model": "A", "codec": "C1", "spec": "webp@q30"},
        {"model": "B", "codec": "C2", "spec": "jpeg@like:webp"},
        {"model": "C", "codec": "C3", "spec": "jpeg"},
    ]
    specs = resolved_specs(Config.model_validate({"models": models}))
    assert specs == {"A": "webp@q30", "B": "jpeg@like:webp@q30", "C": "jpeg@q75"}
    models.append({"model": "D", "codec": "C1", "spec": "webp@q60"})
    with pytest.raises(UsageError, match="may follow several"):
        resolved_specs(Config.model_validate({"models": models}))


def test_networks_are_looked_for_in_a_process_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MISCOMP_WEIGHTS", str(tmp_path))
    names = ("hific@q1", "lucid@0.25bpp", "jpeg@like:stf@q3")
    models = [{"model": f"M{number}", "codec": "C", "spec": name} for number, name in enumerate(names)]
    config = small_config(models=models)
    found = find_available(config.models, resolved_specs(config))
    assert [one.model for one in found.entries] == ["M1"]
    assert [one.model for one in found.missing] == ["M0", "M2"]
    assert "miscomp weights fetch hific@q1" in found.missing[0].reason and "stf@q3" in found.missing[1].reason


def test_a_codec_that_cannot_be_opened_fails_its_own_tasks_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MISCOMP_WEIGHTS", str(tmp_path / "none"))
    (tmp_path / f"{SHA1}.png").write_bytes(CONTENT)
    coder = Coder(setup_of("hific@q1", "jpeg@q50"))
    outcome = attempt(coder, task("hific@q1", tmp_path), tmp_path / "incoming")
    assert "miscomp weights fetch" in outcome.reason
    assert attempt(coder, task("jpeg@q50", tmp_path), tmp_path / "incoming").reason == ""


def test_a_photograph_that_is_not_what_its_name_says_is_refused(tmp_path: Path) -> None:
    coder = Coder(setup_of("jpeg@q50"))
    with pytest.raises(ImageError, match="verify"):
        coder.code(task("jpeg@q50"), CONTENT + b"x")
    assert "is not the photograph" in str(code(coder, task("jpeg@q50"), b""))
    missing = attempt(coder, task("jpeg@q50", tmp_path), tmp_path / "incoming")
    assert missing.reason == "the photograph cannot be read: No such file or directory; see: miscomp corpus verify"


def test_what_is_placed_can_be_read_again_and_its_twin_changes_nothing(tmp_path: Path) -> None:
    made, incoming = made_of("jpeg@q50"), tmp_path / "incoming"
    place(incoming, task("jpeg@q50"), made)
    place(incoming, task("jpeg@q50"), made)
    (folder,) = waiting(incoming)
    placed = read_placed(folder)
    assert asdict(placed.measured) == asdict(made.measured)
    assert (folder / "stream").read_bytes() == made.stream
    assert hashlib.sha256((folder / "reconstruction.png").read_bytes()).hexdigest() == placed.sha256


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"psnr": ', '"psnr": NaN, "x": ', "psnr is no number"),
        ('"version": "', '"version": "\\u0000', "version holds a NUL"),
        ('"miscomp_result": 1', '"miscomp_result": 2', "form 2"),
        ('"suffix": ".jpg"', '"suffix": "/../x"', "suffix"),
        ('"model": "M"', '"model": "N"', "not into this folder"),
        ('"width": 192', '"width": "192"', "measured.width"),
        ("{", "[" * 5000 + "{", "damaged"),
        ("{", "\udce4{", "damaged"),
        ("}", "} ".ljust(2**20), "more than 1048576 bytes"),
    ],
)
def test_a_damaged_result_is_told(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    place(tmp_path, task("jpeg@q50"), made_of("jpeg@q50"))
    (folder,) = waiting(tmp_path)
    text = (folder / "result.json").read_text()
    assert old in text
    (folder / "result.json").write_bytes(text.replace(old, new, 1).encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=complaint):
        read_placed(folder)


def test_an_environment_says_what_may_decide_a_result() -> None:
    found = json.loads(made_of("jpeg@q50").measured.environment)
    assert {"libraries", "cpu", "platform", "threads", "device", "deterministic_algorithms", "seed"} <= set(found)
    assert found["seed"] == 5 and found["threads"] == 1 and found["libraries"]["numpy"] == np.__version__
